//! Every method, with every combination of rights to the things it names: allowed or refused, and
//! with what words. What is expected comes from the table below, which knows nothing of how the
//! broker decides.

mod operations;

use std::collections::BTreeSet;

use self::operations::{Operation, operations};
use super::{exchange_delete, with_argument};
use crate::session::tests::rig::{Client, Node, declare, declare_exchange, delete};
use crate::{Permission, TopicPermission};

/// The three rights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Verb {
    Configure,
    Write,
    Read,
}
use Verb::{Configure, Read, Write};

const VERBS: [(Verb, &str); 3] = [(Configure, "configure"), (Write, "write"), (Read, "read")];

/// What a method needs, in the order in which it is asked.
#[derive(Clone, Copy)]
enum Need {
    Queue(Verb, &'static str),
    Exchange(Verb, &'static str),
    /// Some right, whichever.
    SomeQueue(&'static str),
    SomeExchange(&'static str),
    /// The right to a routing key of the exchange `t`, if its keys are bounded at all.
    Key(Verb, &'static str),
}

impl Need {
    fn name(self) -> Option<&'static str> {
        match self {
            Self::Queue(_, name)
            | Self::Exchange(_, name)
            | Self::SomeQueue(name)
            | Self::SomeExchange(name) => Some(name),
            Self::Key(..) => None,
        }
    }
}

/// Stands for whatever name the server makes up.
const GENERATED: &str = "amq.gen-*";

/// Which names each right is given to.
type Given = BTreeSet<(Verb, &'static str)>;

/// Which keys of the exchange `t` a user may use.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Keys {
    /// Its keys are not bounded.
    Unbounded,
    /// `c.d` and `a.b`.
    Both,
    /// `c.d` alone.
    Other,
    None,
}

impl Keys {
    fn pattern(self) -> Option<&'static str> {
        match self {
            Self::Unbounded => None,
            Self::Both => Some("^(a\\.b|c\\.d)$"),
            Self::Other => Some("^c\\.d$"),
            Self::None => Some("^never$"),
        }
    }

    fn allows(self, key: &str) -> bool {
        match self {
            Self::Unbounded | Self::Both => true,
            Self::Other => key == "c.d",
            Self::None => false,
        }
    }
}

/// The words of the refusal that the table foresees, if there is to be one.
fn refusal(needs: &[Need], given: &Given, (written, read): (Keys, Keys)) -> Option<String> {
    let lacks = |verb, name| !given.contains(&(verb, name));
    let word = |verb| VERBS.iter().find(|(known, _)| *known == verb).unwrap().1;
    let refused = |verb, kind: &str, name: &str| {
        let word = word(verb);
        Some(format!(
            "{word} access to {kind} '{name}' in vhost '/' refused for user 'bob'"
        ))
    };
    let lacks_all = |name| VERBS.iter().all(|(verb, _)| lacks(*verb, name));
    needs.iter().find_map(|need| match *need {
        Need::Queue(verb, name) if lacks(verb, name) => refused(verb, "queue", name),
        Need::Exchange(verb, name) if lacks(verb, name) => refused(verb, "exchange", name),
        Need::SomeQueue(name) if lacks_all(name) => refused(Configure, "queue", name),
        Need::SomeExchange(name) if lacks_all(name) => refused(Configure, "exchange", name),
        Need::Key(verb, key) => {
            let keys = if verb == Write { written } else { read };
            (!keys.allows(key)).then(|| {
                format!(
                    "access to topic '{key}' in exchange 't' in vhost '/' refused for user 'bob'"
                )
            })
        }
        _ => None,
    })
}

/// A pattern that matches the names given for one right, and no others.
fn pattern(given: &Given, verb: Verb) -> String {
    let names = given.iter().filter(|(right, _)| *right == verb);
    let names: Vec<String> = names
        .map(|(_, name)| match *name {
            GENERATED => "amq\\.gen-.{22}".to_owned(),
            name => name.replace('.', "\\."),
        })
        .collect();
    if names.is_empty() {
        String::new()
    } else {
        format!("^({})$", names.join("|"))
    }
}

/// Every combination of rights to the names, and to none of them.
fn combinations(names: &[&'static str]) -> Vec<Given> {
    let all: Vec<_> = names
        .iter()
        .flat_map(|name| VERBS.iter().map(|(verb, _)| (*verb, *name)))
        .collect();
    (0_u32..1 << all.len())
        .map(|chosen| {
            let all = all.iter().enumerate();
            let chosen = all.filter(|(at, _)| chosen & (1 << at) != 0);
            chosen.map(|(_, right)| *right).collect()
        })
        .collect()
}

/// What an operation may have changed is as it was.
fn restore(admin: &mut Client) {
    for queue in ["new", "q"] {
        admin.call(1, delete(queue));
    }
    for exchange in ["new", "x", "y", "t"] {
        admin.call(1, exchange_delete(exchange));
    }
    admin.call(1, declare("q"));
    admin.call(
        1,
        with_argument(declare("dead"), "x-dead-letter-exchange", "x"),
    );
    for (name, kind) in [("x", "direct"), ("y", "direct"), ("t", "topic")] {
        admin.call(1, declare_exchange(name, kind));
    }
    admin.skip();
}

/// The name that the server has made up is not foreseen.
fn without_generated(line: &str) -> String {
    match line.find("amq.gen-") {
        Some(at) => {
            let (before, from) = line.split_at(at);
            format!("{before}{GENERATED}{}", &from["amq.gen-".len() + 22..])
        }
        None => line.to_owned(),
    }
}

#[test]
fn every_method_asks_for_its_rights_and_no_others() {
    let node = Node::new();
    node.broker.add_user("bob", "guest", vec![]).unwrap();
    let mut admin = node.client();
    let mut cases = 0;
    let (mut allowed, mut refused) = (0, 0);
    for Operation {
        what,
        needs,
        run,
        then,
    } in operations()
    {
        let names: BTreeSet<_> = needs.iter().filter_map(|need| need.name()).collect();
        let names: Vec<_> = names.into_iter().collect();
        let has_keys = needs.iter().any(|need| matches!(need, Need::Key(..)));
        let keys: &[Keys] = if has_keys {
            &[Keys::Unbounded, Keys::Both, Keys::Other, Keys::None]
        } else {
            &[Keys::Unbounded]
        };
        for given in combinations(&names) {
            let permission = Permission {
                configure: pattern(&given, Configure),
                write: pattern(&given, Write),
                read: pattern(&given, Read),
            };
            node.broker.set_permission("bob", "/", permission).unwrap();
            for keys in keys {
                // What is said of the keys to bind with counts for no publish, and the reverse.
                for (written, read) in [(*keys, Keys::None), (Keys::None, *keys), (*keys, *keys)] {
                    let both = (written, read);
                    bound_keys(&node, both);
                    restore(&mut admin);
                    node.sync();
                    let mut bob = node.connect_as("bob", true);
                    bob.open(1);
                    run(&mut bob);
                    node.sync();
                    let heard = bob.heard().first().cloned().unwrap_or_default();
                    let heard = without_generated(&heard);
                    let refusal = refusal(needs, &given, both);
                    let is_foreseen = match &refusal {
                        Some(text) => {
                            heard.starts_with(&format!("1 close 403 ACCESS_REFUSED - {text} "))
                        }
                        None if then.is_empty() => heard.is_empty(),
                        None => heard.starts_with(then),
                    };
                    assert!(is_foreseen, "{what}, {given:?}, {both:?}: {heard}");
                    if refusal.is_some() {
                        refused += 1;
                    } else {
                        allowed += 1;
                    }
                    bob.close();
                    cases += 1;
                    if !has_keys {
                        break;
                    }
                }
            }
        }
    }
    assert!(
        allowed > 300 && refused > 1_000,
        "{allowed} allowed, {refused} refused"
    );
    assert_eq!(cases, allowed + refused);
}

fn bound_keys(node: &Node, (written, read): (Keys, Keys)) {
    let broker = &node.broker;
    if written == Keys::Unbounded && read == Keys::Unbounded {
        broker.clear_topic_permissions("bob", "/", None).unwrap();
        return;
    }
    let pattern = |keys: Keys| keys.pattern().unwrap_or(".*").to_owned();
    let permission = TopicPermission {
        write: pattern(written),
        read: pattern(read),
    };
    broker
        .set_topic_permission("bob", "/", "t", permission)
        .unwrap();
}

#[test]
fn the_table_names_every_method_that_a_client_sends_on_a_channel() {
    let covered: BTreeSet<_> = operations()
        .iter()
        .map(|operation| {
            let end = operation.what.find([' ', ',']);
            &operation.what[..end.unwrap_or(operation.what.len())]
        })
        .collect();
    let of_channels = [
        "exchange.declare",
        "exchange.delete",
        "exchange.bind",
        "exchange.unbind",
        "queue.declare",
        "queue.bind",
        "queue.unbind",
        "queue.purge",
        "queue.delete",
        "basic.qos",
        "basic.consume",
        "basic.cancel",
        "basic.publish",
        "basic.get",
        "basic.recover",
        "confirm.select",
        "tx.select",
    ];
    assert_eq!(covered, of_channels.into_iter().collect());
}
