//! A cache of programs' answers, each kept for its lifetime. For each `turn`, one program runs at a time.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use oci::credential::CredentialError;
use tokio::time::Instant;

/// An answer of a program, with its cache key and its lifetime.
pub(crate) struct Answer<T> {
    /// The answer.
    pub(crate) value: T,
    /// The key under which the answer is kept: one of the `places` that were asked for.
    pub(crate) place: String,
    /// The time for which the answer may be kept.
    pub(crate) life: Duration,
}

/// Answers by place. They are not part of the configuration: all values compare equal, and `Debug` shows no answer.
pub(crate) struct Answers<T>(Arc<Mutex<State<T>>>);

struct State<T> {
    kept: HashMap<String, Kept<T>>,
    turns: HashMap<String, Arc<Turn>>,
}

struct Kept<T> {
    value: Arc<T>,
    since: Instant,
    until: Instant,
}

/// The holder of the lock runs the program; the others wait. If the run fails, those that were already waiting get the
/// same error.
#[derive(Default)]
struct Turn {
    running: tokio::sync::Mutex<Option<(Instant, CredentialError)>>,
}

impl<T: Send + Sync + 'static> Answers<T> {
    /// The kept answer of the first of `places` that has one, else the result of `run`. Runs of one `turn` do not
    /// overlap. A run continues after its caller is dropped, so that the next caller finds its answer.
    pub(crate) async fn get(
        &self,
        places: Vec<String>,
        turn: String,
        run: impl Future<Output = Result<Answer<T>, CredentialError>> + Send + 'static,
    ) -> Result<Arc<T>, CredentialError> {
        if let Some(kept) = self.kept(&places) {
            return Ok(kept);
        }
        let (answers, asked) = (self.clone(), Instant::now());
        let turn = Arc::clone(self.state().turns.entry(turn).or_default());
        let running = tokio::spawn(async move { answers.run(&places, &turn, asked, run).await });
        running.await.unwrap_or_else(|_| Err(CredentialError("the runtime is stopping".to_owned())))
    }

    async fn run(
        &self,
        places: &[String],
        turn: &Turn,
        asked: Instant,
        run: impl Future<Output = Result<Answer<T>, CredentialError>>,
    ) -> Result<Arc<T>, CredentialError> {
        let mut last_failure = turn.running.lock().await;
        if let Some(kept) = self.kept(places) {
            return Ok(kept);
        }
        if let Some((_, error)) = last_failure.as_ref().filter(|(ended, _)| *ended > asked) {
            return Err(error.clone());
        }
        match run.await {
            Ok(answer) => Ok(self.keep(answer)),
            Err(error) => {
                *last_failure = Some((Instant::now(), error.clone()));
                Err(error)
            }
        }
    }

    /// Drops the answers at these places, because a registry refused them, unless they are younger than [`YOUNG`].
    pub(crate) fn forget(&self, places: &[String]) {
        let mut state = self.state();
        for place in places {
            if state.kept.get(place).is_some_and(|kept| kept.since.elapsed() >= YOUNG) {
                state.kept.remove(place);
            }
        }
    }

    fn kept(&self, places: &[String]) -> Option<Arc<T>> {
        let (state, now) = (self.state(), Instant::now());
        let mut live =
            places.iter().filter_map(|place| state.kept.get(place)).filter(|kept| now < kept.until);
        live.next().map(|kept| Arc::clone(&kept.value))
    }

    fn keep(&self, answer: Answer<T>) -> Arc<T> {
        let (value, now) = (Arc::new(answer.value), Instant::now());
        let until = now + answer.life.min(LIFE_MAX);
        let mut state = self.state();
        state.kept.retain(|_, kept| now < kept.until);
        state.turns.retain(|_, turn| Arc::strong_count(turn) > 1);
        if state.kept.len() < KEPT_MAX {
            state.kept.insert(answer.place, Kept { value: Arc::clone(&value), since: now, until });
        }
        value
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Default for Answers<T> {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(State { kept: HashMap::new(), turns: HashMap::new() })))
    }
}

impl<T> Clone for Answers<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> PartialEq for Answers<T> {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl<T> Eq for Answers<T> {}

impl<T> std::fmt::Debug for Answers<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Answers(..)")
    }
}

/// If a registry refuses a younger answer, the program is not run again: it would give the same answer.
const YOUNG: Duration = Duration::from_secs(5);
/// Longest time for which an answer is kept, even if it states a longer lifetime.
const LIFE_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// Maximum number of kept answers; further answers are not kept, so their programs run again.
const KEPT_MAX: usize = 1024;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[derive(Default)]
    struct Program(Arc<AtomicUsize>);

    impl Program {
        /// Runs for a second; fails if `place` is empty.
        fn run(
            &self,
            place: &str,
            life: u64,
        ) -> impl Future<Output = Result<Answer<usize>, CredentialError>> + use<> {
            let (count, place) = (Arc::clone(&self.0), place.to_owned());
            async move {
                tokio::time::sleep(Duration::from_secs(1)).await;
                let value = count.fetch_add(1, Ordering::SeqCst);
                if place.is_empty() {
                    return Err(CredentialError(format!("failure {value}")));
                }
                Ok(Answer { value, place, life: Duration::from_secs(life) })
            }
        }
    }

    fn places() -> Vec<String> {
        vec!["image".to_owned(), "registry".to_owned()]
    }

    #[tokio::test(start_paused = true)]
    async fn one_run_serves_all_callers_until_its_answer_expires() {
        let (answers, program) = (Answers::default(), Program::default());
        let asks = (0..20).map(|_| answers.get(places(), "turn".into(), program.run("registry", 60)));
        let all = futures_util::future::join_all(asks).await;
        assert!(all.into_iter().all(|answer| *answer.unwrap() == 0));
        tokio::time::advance(Duration::from_secs(59)).await;
        assert_eq!(*answers.get(places(), "turn".into(), program.run("image", 60)).await.unwrap(), 0);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(*answers.get(places(), "turn".into(), program.run("image", 60)).await.unwrap(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_callers_share_a_failure_and_it_is_not_kept() {
        let (answers, program) = (Answers::<usize>::default(), Program::default());
        let asks = (0..5).map(|_| answers.get(places(), "turn".into(), program.run("", 60)));
        let all = futures_util::future::join_all(asks).await;
        assert!(all.iter().all(|answer| answer.as_ref().err().unwrap().0 == "failure 0"));
        assert_eq!(*answers.get(places(), "turn".into(), program.run("image", 60)).await.unwrap(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_run_continues_after_its_caller_is_dropped() {
        let (answers, program) = (Answers::default(), Program::default());
        let patience = Duration::from_millis(100);
        let ask = answers.get(places(), "turn".into(), program.run("image", 60));
        assert!(tokio::time::timeout(patience, ask).await.is_err());
        assert_eq!(*answers.get(places(), "turn".into(), program.run("image", 60)).await.unwrap(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_refused_answer_is_dropped_unless_it_is_young() {
        let (answers, program) = (Answers::default(), Program::default());
        let ask = || answers.get(places(), "turn".into(), program.run("image", 60));
        assert_eq!(*ask().await.unwrap(), 0);
        answers.forget(&places());
        assert_eq!(*ask().await.unwrap(), 0);
        tokio::time::advance(YOUNG).await;
        answers.forget(&places());
        assert_eq!(*ask().await.unwrap(), 1);
    }
}
