//! Messages, while the weight moves.

use std::time::Duration;

use switchback::demo::{Messages, Target};

use crate::breaking::{go_on, line};
use crate::running::Running;
use crate::shaking::Shaking;
use crate::{assert_exact, pair, server, some, url};

const SHAKING: Shaking = Shaking {
    changes: 60,
    route_backs: 6,
    within: Duration::from_secs(12),
    seed: 1,
};

#[test]
fn every_message_comes_once_and_in_order_through_changes_of_weight_and_route_backs() {
    let (_old, _new, running) = pair();
    running.raise("50");
    let messages = Messages::start(&[Target::from(&running.listen)], &some()).unwrap();
    go_on(&messages);
    let shaken = SHAKING.shake(&running);
    assert!(shaken.changes >= 50 && shaken.route_backs == 6, "{shaken:?}");
    go_on(&messages);
    let ledger = messages.stop();
    assert_exact(&ledger);
    assert_eq!(ledger.gaps, [], "nothing can have been missed");
    running.wait_until("the proxy's own count to be ours", |status| {
        let count = |name| status["pubsub"][name].as_u64().unwrap();
        count("published_old") + count("published_new") == ledger.published
            && count("delivered") == ledger.delivered
    });
    running.wait_until("the transitions' ledger", |_| running.has_event("ledger"));
}

#[test]
fn two_proxies_whose_weights_differ_lose_and_double_nothing() {
    let (old, new) = (server(), server());
    let proxies = [1, 2].map(|_| Running::start(&url(&old), Some(&url(&new)), ""));
    for (proxy, percent) in proxies.iter().zip(["10", "90"]) {
        proxy.raise(percent);
    }
    let targets = [1, 0].map(|index: usize| Target::from(&proxies[index].listen));
    let messages = Messages::start(&targets, &some()).unwrap();
    go_on(&messages);
    std::thread::scope(|scope| {
        for (proxy, seed) in proxies.iter().zip(7..) {
            scope.spawn(move || {
                let shaken = Shaking { seed, ..SHAKING }.shake(proxy);
                assert!(shaken.changes >= 50, "{shaken:?}");
            });
        }
    });
    go_on(&messages);
    let ledger = messages.stop();
    println!("{}", line(&ledger));
    // No order between what one proxy publishes on two sides and what the other hears of them.
    assert_eq!(
        (ledger.lost, ledger.doubled, ledger.damaged),
        (0, 0, 0),
        "{ledger:?}"
    );
    assert_eq!((ledger.failures(), ledger.reconnects), (0, 0), "{ledger:?}");
}
