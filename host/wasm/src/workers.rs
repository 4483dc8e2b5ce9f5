//! The threads that run plugins: none of the router's own, so that no plugin delays its sockets.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use hookmill_core::id::ApplicationId;
use hookmill_core::limits::PLUGIN_NICE;
use hookmill_core::plugin::PluginDigest;
use hookmill_core::port::plugins::RunReport;
use tokio::sync::oneshot;

use crate::fair_queue::{Bounds, FairQueue, QueueFull};
use crate::fault::unavailable;
use crate::idle::IDLE_MAX;
use crate::limits::{
    QUEUED_BYTES_MAX, QUEUED_BYTES_PER_APPLICATION_MAX, QUEUED_RUNS_MAX, QUEUED_RUNS_PER_APPLICATION_MAX,
    RUN_THREAD_STACK_BYTES,
};
use crate::priority::step_back;
use crate::run::Runner;
use crate::stopwatch::{JOB_BEGAN, thread_cpu_time};
use crate::world::{Owner, WorldRun};

/// A fixed number of threads behind one fair queue. Dropping it ends them after the runs in hand.
pub(crate) struct Workers {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    state: Mutex<State>,
    work: Condvar,
}

struct State {
    queue: FairQueue<ApplicationId, Owner, PluginDigest, Job>,
    /// Threads that wait for work.
    idle: usize,
    /// How many of those were woken and have not yet looked.
    woken: usize,
    stopping: bool,
}

/// Whose run it is.
struct Place {
    application: ApplicationId,
    owner: Owner,
}

/// A run of whichever world, and whom to answer; dropped, it answers that the host stopped.
type Job = Box<dyn FnOnce(&Runner) + Send>;

impl Workers {
    pub(crate) fn start(count: usize, runner: &Arc<Runner>) -> io::Result<Self> {
        let queue = FairQueue::new(Bounds {
            threads: count,
            waiting_max: QUEUED_RUNS_MAX,
            application_waiting_max: QUEUED_RUNS_PER_APPLICATION_MAX,
            bytes_max: QUEUED_BYTES_MAX,
            application_bytes_max: QUEUED_BYTES_PER_APPLICATION_MAX,
        });
        let state = State { queue, idle: 0, woken: 0, stopping: false };
        let shared = Arc::new(Shared { state: Mutex::new(state), work: Condvar::new() });
        let mut workers = Self { shared, threads: Vec::with_capacity(count) };
        for number in 0..count {
            let shared = Arc::clone(&workers.shared);
            let runner = Arc::clone(runner);
            let thread = thread::Builder::new()
                .name(format!("hookmill-wasm-{number}"))
                .stack_size(RUN_THREAD_STACK_BYTES)
                .spawn(move || {
                    step_back(PLUGIN_NICE);
                    shared.work(&runner);
                })?;
            workers.threads.push(thread);
        }
        Ok(workers)
    }

    /// Runs a plugin when its turn comes.
    pub(crate) async fn run<R: WorldRun>(&self, run: R) -> RunReport<R::Answer> {
        let (answer, answered) = oneshot::channel();
        let place = Place { application: run.application(), owner: run.owner() };
        let (lane, bytes) = (run.digest(), run.queued_bytes());
        let job: Job = Box::new(move |runner| {
            if !answer.is_closed() {
                let _ = answer.send(run_caught(runner, run));
            }
        });
        if !self.shared.submit(&place, lane, job, bytes) {
            let detail = format!(
                "too many runs wait for a thread already: at most {QUEUED_RUNS_PER_APPLICATION_MAX} of one application \
                 with {QUEUED_BYTES_PER_APPLICATION_MAX} bytes, {QUEUED_RUNS_MAX} in all with {QUEUED_BYTES_MAX} bytes"
            );
            return RunReport::not_begun(unavailable("plugin_queue_full", detail));
        }
        let stopped =
            |_| RunReport::not_begun(unavailable("plugin_host_stopped", "the router is shutting down"));
        answered.await.unwrap_or_else(stopped)
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        {
            let mut state = self.shared.lock();
            state.stopping = true;
            state.queue.clear();
        }
        self.shared.work.notify_all();
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics under this lock")
    }

    /// Whether the queue had room.
    fn submit(&self, place: &Place, lane: PluginDigest, job: Job, bytes: usize) -> bool {
        let mut state = self.lock();
        match state.queue.push(&place.application, &place.owner, lane, job, bytes) {
            Ok(()) => {
                let wake = state.claim_idle();
                drop(state);
                if wake {
                    self.work.notify_one();
                }
                true
            }
            Err(QueueFull(_)) => false,
        }
    }

    fn work(&self, runner: &Runner) {
        let mut finished = None;
        while let Some((place, job)) = self.next(runner, finished.take()) {
            let before = thread_cpu_time();
            JOB_BEGAN.set(before);
            job(runner);
            finished = Some((place, thread_cpu_time().saturating_sub(before)));
        }
    }

    /// The next job, or none when the threads are to end. Whoever's job is finished gives its thread back in the same
    /// turn: between the two nobody could see that it has work, and wake another thread for what this one takes.
    fn next(&self, runner: &Runner, finished: Option<(Place, Duration)>) -> Option<(Place, Job)> {
        let mut state = self.lock();
        if let Some((place, took)) = finished {
            state.queue.finish(&place.application, &place.owner, took);
        }
        let mut has_yielded = false;
        loop {
            if state.stopping {
                return None;
            }
            if let Some((application, owner, job)) = state.queue.take() {
                // What this thread gave back or left may be work for another one that waits.
                if state.claim_idle() {
                    self.work.notify_one();
                }
                return Some((Place { application, owner }, job));
            }
            if !has_yielded {
                // Under load the next job is a moment away. Letting those run that bring it costs less than to sleep and
                // be woken.
                has_yielded = true;
                drop(state);
                thread::yield_now();
                state = self.lock();
                continue;
            }
            drop(state);
            let has_idle_instances = runner.sweep();
            state = self.lock();
            if state.stopping || state.queue.has_ready() {
                continue;
            }
            state.idle += 1;
            state = if has_idle_instances {
                self.work.wait_timeout(state, IDLE_MAX).expect("nothing panics under this lock").0
            } else {
                self.work.wait(state).expect("nothing panics under this lock")
            };
            state.idle -= 1;
            state.woken = state.woken.saturating_sub(1);
        }
    }
}

impl State {
    /// Whether there is work and a thread to wake for it. Waking costs a system call, so no thread is woken twice.
    fn claim_idle(&mut self) -> bool {
        let wake = self.queue.has_ready() && self.idle > self.woken;
        if wake {
            self.woken += 1;
        }
        wake
    }
}

/// A bug in the host's functions fails the run, not the thread.
fn run_caught<R: WorldRun>(runner: &Runner, run: R) -> RunReport<R::Answer> {
    let digest = run.digest();
    catch_unwind(AssertUnwindSafe(|| run.run_by(runner))).unwrap_or_else(|_| {
        tracing::error!(%digest, "the plugin host panicked in a run");
        RunReport::not_begun(unavailable("plugin_host_failed", "the plugin host failed; please report it"))
    })
}
