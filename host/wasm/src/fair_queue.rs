//! Who runs next: a queue that no application, and in it no endpoint or source, can fill or hold alone.
//!
//! Work waits in *lanes*, one for each plugin version of an owner, an endpoint or a source. Applications take turns by
//! the processor time that their work took ([`Turns`]), in each application its owners do the same, and the lanes of an
//! owner take turns among themselves, a piece of work at a time. An application holds no more threads than it leaves
//! free, and of those an owner leaves one to its siblings, so whatever a plugin does, and for however many endpoints,
//! a thread is left for the others. A pure data structure: the lock, the clock and the threads are those of `workers`.

use std::collections::VecDeque;
use std::hash::Hash;
use std::time::Duration;

use hashbrown::HashMap;

use crate::turns::Turns;

/// Pieces of work `T` in lanes `V` of owners `O` of applications `A`.
pub(crate) struct FairQueue<A, O, V, T> {
    bounds: Bounds,
    applications: HashMap<A, Application<O, V, T>>,
    turns: Turns<A>,
    /// Work that runs now, each piece on a thread of its own.
    running: usize,
    waiting: usize,
    waiting_bytes: usize,
}

/// What a queue may hold.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// Threads that take from it, at least 2.
    pub(crate) threads: usize,
    /// Pieces of work that wait.
    pub(crate) waiting_max: usize,
    /// Those of one application.
    pub(crate) application_waiting_max: usize,
    /// Bytes that wait with them.
    pub(crate) bytes_max: usize,
    /// Those of one application.
    pub(crate) application_bytes_max: usize,
}

struct Application<O, V, T> {
    owners: HashMap<O, Owner<V, T>>,
    turns: Turns<O>,
    waiting: usize,
    waiting_bytes: usize,
}

/// Lanes with work, in order of their turns.
type Owner<V, T> = VecDeque<(V, VecDeque<Piece<T>>)>;

struct Piece<T> {
    work: T,
    bytes: usize,
}

/// The queue holds as much as it may, of this application or of all; the work comes back.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct QueueFull<T>(pub(crate) T);

impl<A, O, V, T> FairQueue<A, O, V, T>
where
    A: Clone + Eq + Hash + Ord,
    O: Clone + Eq + Hash + Ord,
    V: Copy + Eq,
{
    pub(crate) fn new(bounds: Bounds) -> Self {
        assert!(bounds.threads >= 2, "one thread is kept free of any one application");
        Self {
            bounds,
            applications: HashMap::new(),
            turns: Turns::new(),
            running: 0,
            waiting: 0,
            waiting_bytes: 0,
        }
    }

    /// Adds work, with so many bytes that wait with it.
    pub(crate) fn push(
        &mut self,
        application: &A,
        owner: &O,
        lane: V,
        work: T,
        bytes: usize,
    ) -> Result<(), QueueFull<T>> {
        let bounds = self.bounds;
        let (waiting, waiting_bytes) =
            self.applications.get(application).map_or((0, 0), |state| (state.waiting, state.waiting_bytes));
        let fits = self.waiting < bounds.waiting_max
            && waiting < bounds.application_waiting_max
            && self.waiting_bytes.saturating_add(bytes) <= bounds.bytes_max
            && waiting_bytes.saturating_add(bytes) <= bounds.application_bytes_max;
        if !fits {
            return Err(QueueFull(work));
        }
        self.waiting += 1;
        self.waiting_bytes += bytes;
        let state = self.applications.entry(application.clone()).or_insert_with(Application::new);
        state.push(owner, lane, Piece { work, bytes });
        self.turns.enter(application);
        Ok(())
    }

    /// Whether a free thread would find work now. If not, waking one is a waste.
    pub(crate) fn has_ready(&self) -> bool {
        self.next().is_some()
    }

    /// Takes the next piece of work; its application and owner hold a thread until [`finish`](Self::finish).
    pub(crate) fn take(&mut self) -> Option<(A, O, T)> {
        let (application, owner) = self.next()?;
        let state = self.applications.get_mut(&application).expect("who has work is known");
        let piece = state.take(&owner);
        let has_more = state.waiting > 0;
        self.turns.begin(&application, has_more);
        self.running += 1;
        self.waiting -= 1;
        self.waiting_bytes -= piece.bytes;
        Some((application, owner, piece.work))
    }

    /// The thread is given back that ran a piece of work for so long.
    pub(crate) fn finish(&mut self, application: &A, owner: &O, took: Duration) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.running -= 1;
        let state = self.applications.get_mut(application).expect("finish follows take");
        state.turns.end(owner, nanos);
        if self.turns.end(application, nanos) {
            self.applications.remove(application);
        }
    }

    /// Takes away all work that waits.
    pub(crate) fn clear(&mut self) {
        self.waiting = 0;
        self.waiting_bytes = 0;
        self.turns.clear_ready();
        self.applications.retain(|_, application| {
            application.owners.clear();
            application.turns.clear_ready();
            application.waiting = 0;
            application.waiting_bytes = 0;
            !application.turns.is_quiet()
        });
    }

    /// Whose work is next. Those that are passed over hold a thread, so there are few of them.
    fn next(&self) -> Option<(A, O)> {
        let free = self.bounds.threads.saturating_sub(self.running);
        if free == 0 {
            return None;
        }
        // An owner leaves a thread of its application's to its siblings.
        let owner_max = (self.bounds.threads / 2).saturating_sub(1).max(1);
        self.turns.in_order().find_map(|application| {
            let held = self.turns.running(application);
            // What it holds then is no more than what is free then.
            if held > 0 && held + 1 > free - 1 {
                return None;
            }
            let turns = &self.applications.get(application)?.turns;
            let owner = turns.in_order().find(|owner| turns.running(owner) < owner_max)?;
            Some((application.clone(), owner.clone()))
        })
    }
}

impl<O: Clone + Eq + Hash + Ord, V: Copy + Eq, T> Application<O, V, T> {
    fn new() -> Self {
        Self { owners: HashMap::new(), turns: Turns::new(), waiting: 0, waiting_bytes: 0 }
    }

    fn push(&mut self, owner: &O, lane: V, piece: Piece<T>) {
        self.waiting += 1;
        self.waiting_bytes += piece.bytes;
        let lanes = self.owners.entry(owner.clone()).or_default();
        match lanes.iter_mut().find(|(version, _)| *version == lane) {
            Some((_, pieces)) => pieces.push_back(piece),
            None => lanes.push_back((lane, VecDeque::from([piece]))),
        }
        self.turns.enter(owner);
    }

    fn take(&mut self, owner: &O) -> Piece<T> {
        let lanes = self.owners.get_mut(owner).expect("owners in line have work");
        let (lane, mut pieces) = lanes.pop_front().expect("owners in line have work");
        let piece = pieces.pop_front().expect("lanes have work");
        if !pieces.is_empty() {
            lanes.push_back((lane, pieces));
        }
        let has_more = !lanes.is_empty();
        if !has_more {
            self.owners.remove(owner);
        }
        self.turns.begin(owner, has_more);
        self.waiting -= 1;
        self.waiting_bytes -= piece.bytes;
        piece
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Queue = FairQueue<char, u8, u8, u32>;

    const MILLISECOND: Duration = Duration::from_millis(1);

    fn bounds(threads: usize) -> Bounds {
        Bounds {
            threads,
            waiting_max: 1000,
            application_waiting_max: 1000,
            bytes_max: 1000,
            application_bytes_max: 1000,
        }
    }

    /// Runs whatever is next on one thread, for so long each, and answers what ran.
    fn run_all(queue: &mut Queue, took: impl Fn(char, u8) -> Duration) -> Vec<(char, u8, u32)> {
        std::iter::from_fn(|| {
            let (application, owner, work) = queue.take()?;
            queue.finish(&application, &owner, took(application, owner));
            Some((application, owner, work))
        })
        .collect()
    }

    #[test]
    fn lanes_take_turns() {
        let mut queue = Queue::new(bounds(9));
        for (lane, work) in [(0, 0), (0, 1), (0, 2), (1, 20)] {
            queue.push(&'a', &1, lane, work, 0).unwrap();
        }
        let order: Vec<_> =
            run_all(&mut queue, |_, _| MILLISECOND).into_iter().map(|(.., work)| work).collect();
        assert_eq!(order, [0, 20, 1, 2]);
    }

    /// 300 endpoints of one application do not make its share any larger.
    #[test]
    fn applications_share_before_endpoints_do() {
        let mut queue = Queue::new(bounds(2));
        for owner in 0..200 {
            queue.push(&'a', &owner, 0, u32::from(owner), 0).unwrap();
        }
        for work in 1000..1005 {
            queue.push(&'b', &1, 0, work, 0).unwrap();
        }
        let order = run_all(&mut queue, |_, _| MILLISECOND);
        let last = order.iter().rposition(|(application, ..)| *application == 'b').unwrap();
        assert!(last <= 10, "b's five runs wait for five of a: {last}");
    }

    #[test]
    fn turns_are_weighed_by_time() {
        let mut queue = Queue::new(bounds(2));
        for work in 0..100 {
            queue.push(&'a', &1, 0, work, 0).unwrap();
            queue.push(&'b', &1, 0, work, 0).unwrap();
        }
        let took = |application, _| if application == 'a' { 100 * MILLISECOND } else { MILLISECOND / 100 };
        let order = run_all(&mut queue, took);
        let before = order.iter().take_while(|(application, _, work)| (*application, *work) != ('b', 99));
        let slow = before.filter(|(application, ..)| *application == 'a').count();
        assert!(slow <= 2, "a hundred short runs take less than one long one: {slow}");
    }

    #[test]
    fn an_application_leaves_as_much_as_it_takes() {
        let mut queue = Queue::new(bounds(4));
        for work in 0..10 {
            queue.push(&'a', &u8::try_from(work).unwrap(), 0, work, 0).unwrap();
        }
        assert_eq!(queue.take(), Some(('a', 0, 0)));
        assert_eq!(queue.take(), Some(('a', 1, 1)));
        assert_eq!(queue.take(), None, "half of the threads are kept for others");
        assert!(!queue.has_ready(), "nothing to wake a thread for");
        queue.push(&'b', &0, 0, 10, 0).unwrap();
        queue.push(&'b', &1, 0, 11, 0).unwrap();
        queue.push(&'c', &0, 0, 20, 0).unwrap();
        assert!(queue.has_ready());
        assert_eq!(queue.take(), Some(('b', 0, 10)));
        assert_eq!(queue.take(), Some(('c', 0, 20)), "the last one is for who holds none");
        queue.finish(&'a', &0, MILLISECOND);
        assert_eq!(queue.take(), None);
        queue.finish(&'a', &1, MILLISECOND);
        assert!(queue.take().is_some());
    }

    #[test]
    fn an_endpoint_leaves_a_thread_to_its_siblings() {
        let mut queue = Queue::new(bounds(6));
        for work in 0..5 {
            queue.push(&'a', &0, 0, work, 0).unwrap();
        }
        assert_eq!(queue.take(), Some(('a', 0, 0)));
        assert_eq!(queue.take(), Some(('a', 0, 1)));
        assert_eq!(queue.take(), None);
        queue.push(&'a', &1, 0, 9, 0).unwrap();
        assert_eq!(queue.take(), Some(('a', 1, 9)));
    }

    #[test]
    fn is_bounded_in_runs_and_bytes_in_all_and_for_each_application() {
        let tight = Bounds {
            threads: 2,
            waiting_max: 3,
            application_waiting_max: 2,
            bytes_max: 100,
            application_bytes_max: 70,
        };
        let mut queue = Queue::new(tight);
        queue.push(&'a', &1, 0, 1, 0).unwrap();
        queue.push(&'a', &2, 0, 2, 0).unwrap();
        assert_eq!(queue.push(&'a', &3, 0, 3, 0), Err(QueueFull(3)), "its runs");
        queue.push(&'b', &1, 0, 4, 0).unwrap();
        assert_eq!(queue.push(&'c', &1, 0, 5, 0), Err(QueueFull(5)), "all runs");
        queue.clear();
        assert_eq!(queue.take(), None);
        queue.push(&'a', &1, 0, 1, 60).unwrap();
        assert_eq!(queue.push(&'a', &2, 0, 2, 11), Err(QueueFull(2)), "its bytes");
        assert_eq!(queue.push(&'b', &1, 0, 3, 41), Err(QueueFull(3)), "all bytes");
        queue.push(&'b', &1, 0, 4, 40).unwrap();
        let (application, owner, _) = queue.take().unwrap();
        queue.push(&'c', &1, 0, 5, 40).unwrap();
        queue.clear();
        queue.finish(&application, &owner, MILLISECOND);
        assert_eq!(queue.push(&'a', &1, 0, 6, 70), Ok(()));
        assert_eq!(queue.take(), Some(('a', 1, 6)));
    }

    proptest! {
        /// Whatever comes and goes: nothing is lost, lanes keep their order, no application holds more than half of the
        /// threads unless it holds one, and none stays idle while an application that holds none has work.
        #[test]
        fn keeps_its_promises(
            threads in 2..8_usize,
            steps in prop::collection::vec((0..4_u8, 0..3_u8, 0..2_u8, 0..3_u8, 0..100_u64), 0..200),
        ) {
            let mut queue = FairQueue::<u8, u8, u8, (u8, u32)>::new(bounds(threads));
            let mut held: Vec<(u8, u8)> = Vec::new();
            let mut waiting: HashMap<(u8, u8, u8), VecDeque<u32>> = HashMap::new();
            for (number, (application, owner, lane, step, millis)) in (0_u32..).zip(steps) {
                match step {
                    0 | 1 => {
                        queue.push(&application, &owner, lane, (lane, number), 1).unwrap();
                        waiting.entry((application, owner, lane)).or_default().push_back(number);
                    }
                    _ => if let Some(place) = held.iter().position(|(holder, _)| *holder == application) {
                        let (application, owner) = held.swap_remove(place);
                        queue.finish(&application, &owner, Duration::from_millis(millis));
                    }
                }
                if number % 2 == 0 {
                    let of = |application: u8| held.iter().filter(|(holder, _)| *holder == application).count();
                    let starved = waiting.iter().any(|((application, ..), pieces)| {
                        !pieces.is_empty() && of(*application) == 0
                    });
                    match queue.take() {
                        Some((application, owner, (lane, work))) => {
                            let lane = waiting.get_mut(&(application, owner, lane)).unwrap();
                            prop_assert_eq!(lane.pop_front(), Some(work));
                            held.push((application, owner));
                            let of = held.iter().filter(|(holder, _)| *holder == application).count();
                            prop_assert!(held.len() <= threads);
                            prop_assert!(of == 1 || 2 * of <= threads, "{} of {}", of, threads);
                        }
                        None => prop_assert!(!starved || held.len() == threads),
                    }
                }
            }
            while !held.is_empty() || queue.has_ready() {
                while let Some((application, owner, (lane, work))) = queue.take() {
                    prop_assert_eq!(waiting.get_mut(&(application, owner, lane)).unwrap().pop_front(), Some(work));
                    held.push((application, owner));
                }
                let (application, owner) = held.pop().unwrap();
                queue.finish(&application, &owner, MILLISECOND);
            }
            prop_assert!(waiting.values().all(VecDeque::is_empty));
            prop_assert!(queue.applications.is_empty() && queue.waiting == 0 && queue.waiting_bytes == 0);
        }
    }
}
