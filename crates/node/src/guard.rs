//! The decision to take a silent mirror out of a node's configuration, and to put it back. Pure.
//!
//! Each removal holds longer than the one before, so that a mirror that comes and goes changes the configuration ever
//! less often. A mirror that stayed in for the longest hold begins anew.

use std::time::Duration;

/// The limits of the guard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Failed questions in a row after which the mirror is taken out; at least 1.
    pub out_after: u32,
    /// Answers in a row after which it is put back; at least 1.
    pub back_after: u32,
    /// The shortest time for which it stays out.
    pub hold: Duration,
    /// The longest such time, after several removals.
    pub hold_max: Duration,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            out_after: 3,
            back_after: 3,
            hold: Duration::from_secs(15),
            hold_max: Duration::from_secs(15 * 60),
        }
    }
}

/// A change of the node's configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The mirror is taken out: pulls go to the registries.
    TakeOut,
    /// The mirror is put in.
    PutIn,
}

/// The state of the guard. It begins with the mirror out, because an unknown mirror is never configured.
#[derive(Clone, Debug)]
pub struct Guard {
    rules: Rules,
    is_in: bool,
    /// Equal answers in a row: failed while the mirror is in, good while it is out.
    streak: u32,
    /// The time of the last change.
    since: Duration,
    /// The time for which the mirror stays out after the next removal.
    hold: Duration,
    /// The time before which it is not put back.
    not_before: Duration,
}

impl Guard {
    /// A guard that has not asked yet. One good answer puts the mirror in for the first time.
    pub fn new(rules: Rules) -> Self {
        let streak = rules.back_after.saturating_sub(1);
        Self {
            rules,
            is_in: false,
            streak,
            since: Duration::ZERO,
            hold: rules.hold,
            not_before: Duration::ZERO,
        }
    }

    /// A guard of a configuration in which the mirror is already.
    pub fn resumed(rules: Rules) -> Self {
        Self { is_in: true, streak: 0, ..Self::new(rules) }
    }

    /// True if the mirror is in the configuration.
    pub fn is_in(&self) -> bool {
        self.is_in
    }

    /// The time that is left before the mirror may be put back.
    pub fn held(&self, now: Duration) -> Duration {
        if self.is_in { Duration::ZERO } else { self.not_before.saturating_sub(now) }
    }

    /// Takes an answer into account. `now` is the time since any fixed moment.
    pub fn judge(&mut self, answered: bool, now: Duration) -> Option<Step> {
        self.streak = if answered == self.is_in { 0 } else { self.streak.saturating_add(1) };
        if self.is_in && self.streak >= self.rules.out_after.max(1) {
            return Some(self.take_out(now));
        }
        let may_return = !self.is_in && now >= self.not_before;
        if may_return && answered && self.streak >= self.rules.back_after.max(1) {
            (self.is_in, self.streak, self.since) = (true, 0, now);
            return Some(Step::PutIn);
        }
        None
    }

    fn take_out(&mut self, now: Duration) -> Step {
        if now.saturating_sub(self.since) >= self.rules.hold_max {
            self.hold = self.rules.hold;
        }
        (self.is_in, self.streak, self.since) = (false, 0, now);
        self.not_before = now.saturating_add(self.hold);
        self.hold = self.hold.saturating_mul(2).min(self.rules.hold_max);
        Step::TakeOut
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Asks once a second; returns the seconds and steps of all changes.
    fn run(answers: impl Iterator<Item = bool>) -> Vec<(u32, Step)> {
        let mut guard = Guard::new(Rules::default());
        let mut steps = Vec::new();
        for (second, answered) in (0..).zip(answers) {
            steps.extend(guard.judge(answered, SECOND * second).map(|step| (second, step)));
        }
        steps
    }

    #[test]
    fn a_mirror_is_put_in_by_its_first_answer_and_never_without_one() {
        assert_eq!(run([true].into_iter()), [(0, Step::PutIn)]);
        assert_eq!(run([false, false, true].into_iter()), []);
        assert_eq!(run([false, true, true, true].into_iter()), [(3, Step::PutIn)]);
        assert_eq!(run([false; 100].into_iter()), []);
    }

    #[test]
    fn two_lost_answers_change_nothing_and_three_take_it_out() {
        let mut answers = vec![true, false, false, true, false, false, false];
        assert_eq!(run(answers.clone().into_iter()), [(0, Step::PutIn), (6, Step::TakeOut)]);
        answers.extend([true; 30]);
        assert_eq!(run(answers.into_iter()).last(), Some(&(21, Step::PutIn)), "after the hold of 15 s");
    }

    #[test]
    fn flapping_slows_down_to_the_longest_hold_and_is_forgiven_after_a_calm_time() {
        // It fails for three seconds whenever it is in.
        let mut guard = Guard::new(Rules::default());
        let (mut out, mut lost) = (Vec::new(), 0);
        for second in 0..4 * 3600 {
            let answered = !guard.is_in() || lost == 3;
            lost = if answered { 0 } else { lost + 1 };
            if guard.judge(answered, SECOND * second) == Some(Step::TakeOut) {
                out.push(second);
            }
        }
        assert!(out.len() < 25, "{} removals in four hours", out.len());
        let gaps: Vec<_> = out.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(gaps.windows(2).all(|pair| pair[0] <= pair[1]), "{gaps:?}");
        assert_eq!(gaps.last(), Some(&(900 + 3)));

        let mut now = SECOND * 4 * 3600;
        while guard.judge(true, now).is_none() {
            now += SECOND;
        }
        now += Rules::default().hold_max;
        for _ in 0..3 {
            guard.judge(false, now);
        }
        assert_eq!(guard.held(now), Rules::default().hold, "a calm time was long enough");
    }
}
