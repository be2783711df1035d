//! What may be ordered from the screen, and what has to be typed for it?
//!
//! Pure. What takes traffic off `new`, or stops, is confirmed by one letter: it has to be quick. What opens the way up, by
//! arming or by more than the ramp's next step, takes the route's name: nobody types that by mistake.

use crate::glance::Route;
use crate::glance::words;

/// Why, for whoever reads the events.
const REASON: &str = "from status --watch";

/// One order.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Order {
    /// To this weight, in percent.
    Weight(f64),
    Back,
    Arm,
    RampStart,
    RampPause,
    RampResume,
    RampAbort,
}

/// What has to be typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    /// The letter y.
    Letter,
    /// The route's name.
    Name,
}

/// An order for a route, and how that stood when it was asked for.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Asked {
    pub(super) route: String,
    pub(super) order: Order,
    pub(super) proof: Proof,
    weight: f64,
    is_latched: bool,
}

impl Asked {
    /// What asking for `order` comes to.
    pub(super) fn of(route: &Route, order: Order) -> Self {
        let is_leap = |to: f64| to > route.weight && route.next_step.is_none_or(|step| to > step);
        let proof = match order {
            Order::Weight(to) if is_leap(to) => Proof::Name,
            Order::Arm => Proof::Name,
            Order::Weight(_)
            | Order::Back
            | Order::RampStart
            | Order::RampPause
            | Order::RampResume
            | Order::RampAbort => Proof::Letter,
        };
        Self {
            route: route.name.clone(),
            order,
            proof,
            weight: route.weight,
            is_latched: route.is_latched,
        }
    }

    /// What the admin socket takes.
    pub(super) fn words(&self) -> Vec<String> {
        let route = self.route.as_str();
        let weight;
        let words: &[&str] = match self.order {
            Order::Weight(to) => {
                weight = format!("{to:.2}");
                &["WEIGHT", route, &weight]
            }
            Order::Back => &["BACK", route, "REASON", REASON],
            Order::Arm => &["ARM", route],
            Order::RampStart => &["RAMP", route, "START"],
            Order::RampPause => &["RAMP", route, "PAUSE"],
            Order::RampResume => &["RAMP", route, "RESUME"],
            Order::RampAbort => &["RAMP", route, "ABORT"],
        };
        words.iter().map(|&word| word.to_owned()).collect()
    }

    /// The order in a few words.
    pub(super) fn named(&self) -> String {
        let route = &self.route;
        match self.order {
            Order::Weight(to) => {
                let verb = if to > self.weight { "raise" } else { "lower" };
                let [from, to] = [self.weight, to].map(words::percent);
                format!("{verb} {route} from {from} to {to}")
            }
            Order::Back => format!("all of {route} BACK to old, at once, until it is armed"),
            Order::Arm => format!("arm {route}: allow weights above 0 again"),
            Order::RampStart => format!("start the ramp of {route}"),
            Order::RampPause => format!("pause the ramp of {route}"),
            Order::RampResume => format!("resume the ramp of {route}"),
            Order::RampAbort => format!("abort the ramp of {route}; the weight stays"),
        }
    }

    /// Why it would not be any more what was asked for. Going back is right whatever has happened meanwhile.
    pub(super) fn overtaken(&self, now: Option<&Route>) -> Option<String> {
        let Some(now) = now else {
            return Some(format!("route {} is gone", self.route));
        };
        let (was, is) = (self.weight, now.weight);
        match self.order {
            Order::Back => None,
            _ if now.is_latched != self.is_latched => {
                let word = if now.is_latched {
                    "has gone back"
                } else {
                    "has been armed"
                };
                Some(format!("{} {word} meanwhile", self.route))
            }
            Order::Weight(to) if (to > was) != (to > is) => {
                let is = words::percent(is);
                Some(format!("{} is at {is} meanwhile", self.route))
            }
            Order::Weight(_)
            | Order::Arm
            | Order::RampStart
            | Order::RampPause
            | Order::RampResume
            | Order::RampAbort => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(weight: f64, next_step: Option<f64>, is_latched: bool) -> Route {
        Route {
            name: "r".to_owned(),
            weight,
            next_step,
            is_latched,
            ..Route::default()
        }
    }

    fn proof(order: Order) -> Proof {
        Asked::of(&route(5.0, Some(25.0), false), order).proof
    }

    #[test]
    fn only_what_opens_the_way_up_takes_the_name() {
        use Order::{Arm, Back, RampAbort, RampPause, RampResume, RampStart, Weight};
        for order in [
            Weight(0.0),
            Weight(5.0),
            Weight(25.0),
            Back,
            RampStart,
            RampPause,
            RampResume,
            RampAbort,
        ] {
            assert_eq!(proof(order), Proof::Letter, "{order:?}");
        }
        for order in [Weight(25.01), Weight(100.0), Arm] {
            assert_eq!(proof(order), Proof::Name, "{order:?}");
        }
        let without_steps = Asked::of(&route(5.0, None, false), Weight(6.0));
        assert_eq!(without_steps.proof, Proof::Name);
    }

    #[test]
    fn what_was_asked_for_is_overtaken_by_a_trip_or_by_another_operator() {
        let asked = route(5.0, Some(25.0), false);
        let raise = Asked::of(&asked, Order::Weight(25.0));
        assert_eq!(raise.overtaken(Some(&route(24.0, None, false))), None);
        let higher = raise.overtaken(Some(&route(50.0, None, false)));
        assert_eq!(
            higher.unwrap(),
            "r is at 50.00 % meanwhile",
            "it would lower the weight"
        );
        assert_eq!(
            raise.overtaken(Some(&route(0.0, None, true))).unwrap(),
            "r has gone back meanwhile"
        );
        assert_eq!(raise.overtaken(None).unwrap(), "route r is gone");
        let lower = Asked::of(&asked, Order::Weight(1.0));
        assert!(
            lower.overtaken(Some(&route(0.5, None, false))).is_some(),
            "it would raise the weight"
        );
        let back = Asked::of(&asked, Order::Back);
        assert_eq!(back.overtaken(Some(&route(0.0, None, true))), None);
    }

    #[test]
    fn each_order_is_said_in_the_words_of_the_admin_socket() {
        let said = |order| Asked::of(&route(5.0, None, false), order).words().join(" ");
        assert_eq!(said(Order::Weight(12.5)), "WEIGHT r 12.50");
        assert_eq!(said(Order::Back), "BACK r REASON from status --watch");
        assert_eq!(said(Order::Arm), "ARM r");
        assert_eq!(said(Order::RampStart), "RAMP r START");
        assert_eq!(said(Order::RampPause), "RAMP r PAUSE");
        assert_eq!(said(Order::RampResume), "RAMP r RESUME");
        assert_eq!(said(Order::RampAbort), "RAMP r ABORT");
    }
}
