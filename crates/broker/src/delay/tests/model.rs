//! Random publishes, cancellations and restarts, against a plain list.

use proptest::prelude::*;

use super::{cancel, kept, later, page, set_up};
use crate::delay::DelayedId;
use crate::scenario::Scenario;

#[derive(Clone, Debug)]
enum Step {
    Publish(Vec<i64>),
    Wait(u64),
    /// The timer is late.
    StandStill(u64),
    Cancel(usize),
    Look(usize, usize),
    Restart(u64),
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => proptest::collection::vec(-5..400_i64, 1..20).prop_map(Step::Publish),
        3 => (0..150_u64).prop_map(Step::Wait),
        1 => (0..150_u64).prop_map(Step::StandStill),
        2 => any::<usize>().prop_map(Step::Cancel),
        1 => (any::<usize>(), 1..9_usize).prop_map(|(from, limit)| Step::Look(from, limit)),
        1 => (0..200_u64).prop_map(Step::Restart),
    ]
}

/// What waits, by due time and order of publishing; and what has come.
#[derive(Default)]
struct Model {
    now: u64,
    waiting: Vec<(u64, u64)>,
    published: u64,
    come: Vec<String>,
}

impl Model {
    fn advance(&mut self, milliseconds: u64) {
        self.now += milliseconds;
        self.waiting.sort_unstable();
        let due = self.waiting.partition_point(|(due, _)| *due <= self.now);
        self.come.extend(
            self.waiting
                .drain(..due)
                .map(|(_, number)| number.to_string()),
        );
    }
}

fn all(node: &Scenario) -> Vec<(DelayedId, String)> {
    let page = page(node, None, 1000);
    let messages = page.messages.into_iter();
    messages
        .map(|one| (one.id, String::from_utf8(one.message_id.unwrap()).unwrap()))
        .collect()
}

fn run(steps: &[Step]) {
    let mut node = Scenario::new();
    set_up(&mut node.client());
    let mut model = Model::default();
    for step in steps {
        match step {
            Step::Publish(delays) => {
                let mut client = node.client();
                for delay in delays {
                    let number = model.published;
                    model.published += 1;
                    client.publish(later("d", "q", &number.to_string(), *delay));
                    match u64::try_from(*delay) {
                        Ok(delay) if delay > 0 => model.waiting.push((model.now + delay, number)),
                        _ => model.come.push(number.to_string()),
                    }
                }
                client.told();
                client.close();
            }
            Step::Wait(milliseconds) => {
                node.wait(*milliseconds);
                model.advance(*milliseconds);
            }
            Step::StandStill(milliseconds) => {
                node.stand_still(*milliseconds);
                node.wait(0);
                model.advance(*milliseconds);
            }
            Step::Cancel(nth) => {
                model.waiting.sort_unstable();
                if let Some(nth) = nth.checked_rem(model.waiting.len()) {
                    let (_, number) = model.waiting.remove(nth);
                    let (id, body) = all(&node).swap_remove(nth);
                    assert_eq!(body, number.to_string());
                    assert_eq!(cancel(&node, id), Ok(true));
                    assert_eq!(cancel(&node, id), Ok(false));
                }
            }
            Step::Look(from, limit) => {
                let everything = all(&node);
                if let Some(from) = from.checked_rem(everything.len()) {
                    let page = page(&node, Some(everything[from].0), *limit);
                    let ids: Vec<_> = page.messages.iter().map(|one| one.id).collect();
                    let mut expected = everything[from..].iter().map(|(id, _)| *id);
                    assert_eq!(ids, expected.by_ref().take(*limit).collect::<Vec<_>>());
                    assert_eq!(page.next, expected.next());
                }
            }
            Step::Restart(milliseconds) => {
                node = node.restart(*milliseconds);
                model.advance(*milliseconds);
            }
        }
        model.waiting.sort_unstable();
        let waiting: Vec<String> = model
            .waiting
            .iter()
            .map(|(_, number)| number.to_string())
            .collect();
        let found: Vec<String> = all(&node).into_iter().map(|(_, body)| body).collect();
        assert_eq!(found, waiting);
        assert_eq!(kept(&node, "d").messages(), waiting.len() as u64);
    }
    node.wait(1000);
    model.advance(1000);
    assert_eq!(node.client().drain("q"), model.come);
    assert_eq!(node.broker.next_deadline(), None);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, max_shrink_iters: 300, ..ProptestConfig::default() })]
    #[test]
    fn each_message_comes_once_in_its_time(steps in proptest::collection::vec(any_step(), 1..40)) {
        run(&steps);
    }
}
