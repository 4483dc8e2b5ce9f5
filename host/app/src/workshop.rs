//! Where whatever may take more than a moment is computed: on threads that do no I/O, a few jobs at a time, by turns of
//! the applications that they are for.
//!
//! Each job is bounded by whoever brings it to some tens of milliseconds. So nobody waits for the computations of another
//! application longer than for one of them in each place, however many that one has; and what waits for no computation
//! waits for none at all. Its threads step back behind those that do I/O.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::num::NonZero;
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;

use hookmill_core::id::ApplicationId;
use tokio::sync::oneshot;

/// Jobs at a time, at most; one of them is left to others than the application that has all the rest.
const PLACES_MAX: usize = 4;

/// Runs jobs. Cheap to clone. Its threads end when the last clone is dropped.
#[derive(Debug, Clone)]
pub(crate) struct Workshop {
    floor: Arc<Mutex<Floor>>,
    jobs: mpsc::Sender<Job>,
}

type Job = Box<dyn FnOnce() + Send>;

#[derive(Debug)]
struct Floor {
    places: usize,
    /// Jobs under way, by application; no zeros.
    running: HashMap<ApplicationId, usize>,
    busy: usize,
    waiting: HashMap<ApplicationId, VecDeque<oneshot::Sender<Place>>>,
    /// The applications that wait, in the order of their turns.
    turns: VecDeque<ApplicationId>,
}

/// A place, until it is dropped.
#[derive(Debug)]
struct Place {
    workshop: Workshop,
    application: ApplicationId,
    is_held: bool,
}

impl Workshop {
    /// One that leaves processors to others, and has two places at least. Each of its threads first calls `step_back`.
    pub(crate) fn new(step_back: fn()) -> io::Result<Self> {
        let processors = thread::available_parallelism().map_or(1, NonZero::get);
        Self::with_places((processors / 2).clamp(2, PLACES_MAX), step_back)
    }

    fn with_places(places: usize, step_back: fn()) -> io::Result<Self> {
        let (jobs, waiting_jobs) = mpsc::channel::<Job>();
        let waiting_jobs = Arc::new(Mutex::new(waiting_jobs));
        for _ in 0..places {
            let waiting_jobs = Arc::clone(&waiting_jobs);
            thread::Builder::new().name("hookmill-workshop".into()).spawn(move || {
                step_back();
                let next = || waiting_jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
                while let Ok(job) = next() {
                    job();
                }
            })?;
        }
        let (running, waiting) = (HashMap::new(), HashMap::new());
        let floor = Floor { places, running, busy: 0, waiting, turns: VecDeque::new() };
        Ok(Self { floor: Arc::new(Mutex::new(floor)), jobs })
    }

    /// Runs a job when it is its application's turn. Whoever stops waiting gives the turn back; a job that has begun ends.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        application: ApplicationId,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> T {
        let place = self.place(application).await;
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move || {
            let done = panic::catch_unwind(AssertUnwindSafe(job));
            drop(place);
            // Who stopped waiting needs no answer.
            let _ = answer.send(done);
        });
        self.jobs.send(job).expect("the threads live as long as what they are asked through");
        let done = answered.await.expect("each job is run");
        done.unwrap_or_else(|panicked| panic::resume_unwind(panicked))
    }

    async fn place(&self, application: ApplicationId) -> Place {
        let given = {
            let mut floor = self.floor();
            let (turn, given) = oneshot::channel();
            let queue = floor.waiting.entry(application).or_default();
            queue.push_back(turn);
            if queue.len() == 1 {
                floor.turns.push_back(application);
            }
            given
        };
        self.give_places();
        given.await.expect("whoever waits is given a place or stops waiting")
    }

    /// Gives free places to those whose turn it is.
    fn give_places(&self) {
        loop {
            let Some((application, turn)) = self.floor().next() else { return };
            let place = Place { workshop: self.clone(), application, is_held: true };
            if let Err(mut place) = turn.send(place) {
                // Whoever waited has just stopped; the next one is given it here.
                place.is_held = false;
                self.floor().release(application);
            }
        }
    }

    fn floor(&self) -> std::sync::MutexGuard<'_, Floor> {
        self.floor.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Floor {
    /// The next one to have a place, which is taken with that.
    fn next(&mut self) -> Option<(ApplicationId, oneshot::Sender<Place>)> {
        if self.busy == self.places {
            return None;
        }
        let share = (self.places - 1).max(1);
        loop {
            let running = |application: &ApplicationId| self.running.get(application).copied().unwrap_or(0);
            let turn = self.turns.iter().position(|application| running(application) < share)?;
            let application = self.turns.remove(turn)?;
            let Some(next) = self.next_of(application) else { continue };
            self.busy += 1;
            *self.running.entry(application).or_default() += 1;
            return Some((application, next));
        }
    }

    /// The one of an application who has waited longest, which then waits for another turn if there are more.
    fn next_of(&mut self, application: ApplicationId) -> Option<oneshot::Sender<Place>> {
        let queue = self.waiting.get_mut(&application)?;
        while queue.front().is_some_and(oneshot::Sender::is_closed) {
            queue.pop_front();
        }
        let next = queue.pop_front();
        if queue.is_empty() {
            self.waiting.remove(&application);
        } else {
            self.turns.push_back(application);
        }
        next
    }

    fn release(&mut self, application: ApplicationId) {
        self.busy -= 1;
        if let Some(running) = self.running.get_mut(&application) {
            *running -= 1;
            if *running == 0 {
                self.running.remove(&application);
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if !self.is_held {
            return;
        }
        self.workshop.floor().release(self.application);
        self.workshop.give_places();
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use hookmill_core::time::UnixMillis;

    use super::*;

    fn application(number: u128) -> ApplicationId {
        ApplicationId::new(UnixMillis(1), number)
    }

    fn poll<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
        future.poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn one_application_leaves_a_place_to_the_others() {
        let workshop = Workshop::with_places(2, || ()).unwrap();
        let (mut first, mut second) =
            (pin!(workshop.place(application(1))), pin!(workshop.place(application(1))));
        let Poll::Ready(held) = poll(first.as_mut()) else { panic!("a place is free") };
        assert!(poll(second.as_mut()).is_pending(), "the other place is for others");
        let mut other = pin!(workshop.place(application(2)));
        let Poll::Ready(other) = poll(other.as_mut()) else { panic!("a place is free") };
        drop(other);
        assert!(poll(second.as_mut()).is_pending());
        drop(held);
        assert!(poll(second.as_mut()).is_ready());
    }

    #[test]
    fn applications_take_turns_and_who_stops_waiting_is_passed_over() {
        let workshop = Workshop::with_places(2, || ()).unwrap();
        let mut holding = pin!(workshop.place(application(9)));
        let mut blocking = pin!(workshop.place(application(8)));
        let (Poll::Ready(holding), Poll::Ready(_blocking)) =
            (poll(holding.as_mut()), poll(blocking.as_mut()))
        else {
            panic!("two places are free")
        };
        let mut flood: Vec<_> = (0..50).map(|_| Box::pin(workshop.place(application(1)))).collect();
        for waiting in &mut flood {
            assert!(poll(waiting.as_mut()).is_pending());
        }
        let mut honest = pin!(workshop.place(application(2)));
        assert!(poll(honest.as_mut()).is_pending());
        // The first of the flood does not wait any more: the second has the turn, and then the other application.
        drop(flood.remove(0));
        drop(holding);
        let Poll::Ready(one) = poll(flood[0].as_mut()) else { panic!("it is the flood's turn") };
        drop(one);
        assert!(poll(honest.as_mut()).is_ready());
        drop(flood);
        let mut floor = pin!(workshop.place(application(3)));
        assert!(poll(floor.as_mut()).is_ready(), "nothing is left over");
    }
}
