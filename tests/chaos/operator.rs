//! What is an operator told, and does the proxy keep to it?
//!
//! Shell: one order after the other, whatever else happens. What may never be is looked at after each.

use std::path::Path;

use serde_json::Value;

use crate::fault::Order;
use crate::proxy::say;

/// What one operator has seen.
#[derive(Debug, Default)]
pub(crate) struct Operator {
    epoch: u64,
    /// State that could not be saved is not there after a restart, epochs neither.
    pub(crate) may_forget: bool,
    pub(crate) wrong: Vec<String>,
}

impl Operator {
    /// Says it. What was answered, for the record.
    pub(crate) fn give(&mut self, socket: &Path, order: Order) -> String {
        let percent = match order {
            Order::Raise(percent) | Order::RaiseOver(percent) | Order::Force(percent) => percent.to_string(),
            Order::Back | Order::Arm => String::new(),
        };
        let words: &[&str] = match order {
            Order::Raise(_) => &["WEIGHT", "r", &percent],
            Order::RaiseOver(_) => &["WEIGHT", "r", &percent, "OVER", "2"],
            Order::Force(_) => &["WEIGHT", "r", &percent, "FORCE", "chaos"],
            Order::Back => &["BACK", "r", "REASON", "chaos"],
            Order::Arm => &["ARM", "r"],
        };
        let told = say(socket, words);
        let status = say(socket, &["STATUS", "r", "JSON"]).and_then(|text| serde_json::from_str(&text).ok());
        if let Some(status) = status {
            self.look(order, told.as_deref(), &status);
        }
        told.unwrap_or_else(|| "nobody answers".to_owned())
    }

    fn look(&mut self, order: Order, told: Option<&str>, status: &Value) {
        let (weight, is_latched) = (status["weight"].as_f64(), status["latched"] == true);
        let epoch = status["epoch"].as_u64().unwrap_or_default();
        if is_latched && weight != Some(0.0) {
            self.wrong.push(format!("latched, and not at 0: {status}"));
        }
        if order == Order::Back && told == Some("OK") && !is_latched {
            self.wrong.push(format!("back, and not latched: {status}"));
        }
        if epoch < self.epoch && !self.may_forget {
            self.wrong.push(format!("epoch {} before: {status}", self.epoch));
        }
        self.epoch = epoch;
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn traffic_on_new_while_latched_and_epochs_that_go_back_are_seen() {
        let mut operator = Operator::default();
        operator.look(
            Order::Arm,
            None,
            &json!({"weight": 0.0, "latched": true, "epoch": 5}),
        );
        assert!(operator.wrong.is_empty());
        operator.look(
            Order::Arm,
            None,
            &json!({"weight": 1.0, "latched": true, "epoch": 6}),
        );
        operator.look(
            Order::Back,
            Some("OK"),
            &json!({"weight": 0.0, "latched": false, "epoch": 7}),
        );
        operator.look(
            Order::Arm,
            None,
            &json!({"weight": 0.0, "latched": false, "epoch": 6}),
        );
        assert_eq!(operator.wrong.len(), 3, "{:#?}", operator.wrong);
    }
}
