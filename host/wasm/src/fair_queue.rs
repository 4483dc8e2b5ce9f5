//! Who runs next: a queue that no endpoint or source can fill or hold alone.
//!
//! Work waits in *lanes*, one for each plugin version of an owner. Owners take turns, and the lanes of one take turns
//! among themselves, a piece of work at a time. An owner may hold all but one of the threads, so that whatever its
//! plugin does, a thread is left for the others. A pure data structure: the lock and the threads are those of
//! `workers`.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

/// Pieces of work `T` in lanes `V` of owners `O`.
pub(crate) struct FairQueue<O, V, T> {
    owners: HashMap<O, Owner<V, T>>,
    /// Owners that have work and may hold one more thread, in order of their turns, each once.
    ready: VecDeque<O>,
    waiting: usize,
    waiting_max: usize,
    held_max: usize,
}

struct Owner<V, T> {
    /// Threads that run this owner's work now.
    held: usize,
    /// Whether it stands in `ready`.
    ready: bool,
    /// Lanes with work, in order of their turns.
    lanes: VecDeque<(V, VecDeque<T>)>,
}

/// The queue holds as much as it may; the work comes back.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct QueueFull<T>(pub(crate) T);

impl<O: Clone + Eq + Hash, V: Copy + Eq, T> FairQueue<O, V, T> {
    /// A queue for so many threads that holds so much work.
    pub(crate) fn new(threads: usize, waiting_max: usize) -> Self {
        assert!(threads >= 2, "one thread is kept free of any one owner");
        Self {
            owners: HashMap::new(),
            ready: VecDeque::new(),
            waiting: 0,
            waiting_max,
            held_max: threads - 1,
        }
    }

    /// Adds work.
    pub(crate) fn push(&mut self, owner: &O, lane: V, work: T) -> Result<(), QueueFull<T>> {
        if self.waiting >= self.waiting_max {
            return Err(QueueFull(work));
        }
        self.waiting += 1;
        let state = self.owners.entry(owner.clone()).or_insert_with(Owner::new);
        match state.lanes.iter_mut().find(|(version, _)| *version == lane) {
            Some((_, pieces)) => pieces.push_back(work),
            None => state.lanes.push_back((lane, VecDeque::from([work]))),
        }
        self.enter(owner);
        Ok(())
    }

    /// Whether a free thread would find work now. If not, waking one is a waste.
    pub(crate) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Takes the next piece of work; its owner holds a thread until [`finish`](Self::finish).
    pub(crate) fn take(&mut self) -> Option<(O, T)> {
        let owner = self.ready.pop_front()?;
        let state = self.owners.get_mut(&owner).expect("ready owners have work");
        state.ready = false;
        state.held += 1;
        let (lane, mut pieces) = state.lanes.pop_front().expect("ready owners have work");
        let work = pieces.pop_front().expect("lanes have work");
        if !pieces.is_empty() {
            state.lanes.push_back((lane, pieces));
        }
        self.waiting -= 1;
        self.enter(&owner);
        Some((owner, work))
    }

    /// The owner gives a thread back.
    pub(crate) fn finish(&mut self, owner: &O) {
        let state = self.owners.get_mut(owner).expect("finish follows take");
        state.held -= 1;
        if state.held == 0 && state.lanes.is_empty() {
            self.owners.remove(owner);
        } else {
            self.enter(owner);
        }
    }

    /// Takes away all work that waits.
    pub(crate) fn clear(&mut self) {
        self.ready.clear();
        self.waiting = 0;
        for owner in self.owners.values_mut() {
            owner.lanes.clear();
            owner.ready = false;
        }
    }

    /// Lets an owner wait for its turn, if it has work and may hold a thread.
    fn enter(&mut self, owner: &O) {
        let state = self.owners.get_mut(owner).expect("who enters is known");
        if !state.ready && !state.lanes.is_empty() && state.held < self.held_max {
            state.ready = true;
            self.ready.push_back(owner.clone());
        }
    }
}

impl<V, T> Owner<V, T> {
    fn new() -> Self {
        Self { held: 0, ready: false, lanes: VecDeque::new() }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Queue = FairQueue<char, u8, u32>;

    #[test]
    fn lanes_take_turns() {
        let mut queue = Queue::new(9, 100);
        for work in 0..3 {
            queue.push(&'a', 0, work).unwrap();
        }
        queue.push(&'b', 0, 10).unwrap();
        queue.push(&'a', 1, 20).unwrap();
        let order: Vec<_> = std::iter::from_fn(|| queue.take()).collect();
        assert_eq!(order, [('a', 0), ('b', 10), ('a', 20), ('a', 1), ('a', 2)]);
    }

    #[test]
    fn a_thread_is_left_for_the_others() {
        let mut queue = Queue::new(3, 100);
        for work in 0..5 {
            queue.push(&'a', u8::try_from(work % 2).unwrap(), work).unwrap();
        }
        assert_eq!(queue.take(), Some(('a', 0)));
        assert_eq!(queue.take(), Some(('a', 1)));
        assert_eq!(queue.take(), None, "the third thread is kept free");
        queue.push(&'a', 7, 70).unwrap();
        assert!(!queue.has_ready(), "nothing to wake a thread for");
        queue.push(&'b', 0, 10).unwrap();
        assert!(queue.has_ready());
        assert_eq!(queue.take(), Some(('b', 10)));
        queue.finish(&'a');
        assert_eq!(queue.take(), Some(('a', 2)));
        assert_eq!(queue.take(), None);
    }

    #[test]
    fn is_bounded() {
        let mut queue = Queue::new(2, 2);
        queue.push(&'a', 0, 1).unwrap();
        queue.push(&'b', 0, 2).unwrap();
        assert_eq!(queue.push(&'c', 0, 3), Err(QueueFull(3)));
        queue.take();
        assert_eq!(queue.push(&'c', 0, 3), Ok(()));
        queue.clear();
        assert_eq!(queue.take(), None);
        queue.finish(&'a');
        assert_eq!(queue.push(&'a', 0, 4), Ok(()));
        assert_eq!(queue.take(), Some(('a', 4)));
    }

    proptest! {
        /// Whatever comes and goes: nothing is lost, lanes keep their order, no owner holds all threads, and no thread
        /// stays idle while an owner below its share has work.
        #[test]
        fn keeps_its_promises(threads in 2..5_usize, steps in prop::collection::vec((0..3_u8, 0..2_u8, 0..3_u8), 0..200)) {
            let mut queue = FairQueue::<u8, u8, (u8, u32)>::new(threads, 1000);
            let mut held: HashMap<u8, usize> = HashMap::new();
            let mut waiting: HashMap<(u8, u8), VecDeque<u32>> = HashMap::new();
            for (number, (owner, lane, step)) in (0_u32..).zip(steps) {
                match step {
                    0 | 1 => {
                        queue.push(&owner, lane, (lane, number)).unwrap();
                        waiting.entry((owner, lane)).or_default().push_back(number);
                    }
                    _ => if held.get(&owner).is_some_and(|count| *count > 0) {
                        queue.finish(&owner);
                        *held.get_mut(&owner).unwrap() -= 1;
                    }
                }
                if number % 2 == 0 && held.values().sum::<usize>() < threads {
                    let runnable = waiting.iter().any(|((owner, _), pieces)| {
                        !pieces.is_empty() && held.get(owner).copied().unwrap_or(0) < threads - 1
                    });
                    match queue.take() {
                        Some((owner, (lane, work))) => {
                            prop_assert_eq!(waiting.get_mut(&(owner, lane)).unwrap().pop_front(), Some(work));
                            *held.entry(owner).or_default() += 1;
                            prop_assert!(held[&owner] < threads);
                        }
                        None => prop_assert!(!runnable),
                    }
                }
            }
        }
    }
}
