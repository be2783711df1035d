//! How are the settings of all rules written, so that another version can read them?
//!
//! Pure: by rule name, for traces. A rule that is not named is off: whoever wrote it did not have that rule. What is not set of
//! one that is named has its default.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Action, Rule, RuleSetting, RuleTable};

/// Settings as JSON, by rule name. Names that are not known are left alone.
#[derive(Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct NamedSettings(BTreeMap<String, Value>);

impl From<RuleTable> for NamedSettings {
    fn from(table: RuleTable) -> Self {
        let named = |rule: Rule| {
            Some((
                rule.name().to_owned(),
                serde_json::to_value(table.get(rule)).ok()?,
            ))
        };
        Self(Rule::ALL.into_iter().filter_map(named).collect())
    }
}

impl TryFrom<NamedSettings> for RuleTable {
    type Error = serde_json::Error;

    fn try_from(named: NamedSettings) -> Result<Self, Self::Error> {
        let mut table = Self::default();
        for rule in Rule::ALL {
            let setting = table.get_mut(rule);
            match named.0.get(rule.name()) {
                Some(given) => *setting = over(setting, given)?,
                None => setting.action = [Action::Off; 2],
            }
        }
        Ok(table)
    }
}

/// What is given over what is not.
fn over(default: &RuleSetting, given: &Value) -> serde_json::Result<RuleSetting> {
    match (serde_json::to_value(default)?, given) {
        (Value::Object(mut whole), Value::Object(given)) => {
            whole.extend(given.iter().map(|(key, value)| (key.clone(), value.clone())));
            serde_json::from_value(Value::Object(whole))
        }
        // Its own words about what it expected.
        _ => RuleSetting::deserialize(given),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn settings_are_read_as_they_were_written() {
        let mut table = RuleTable::default();
        table.get_mut(Rule::OffsetLag).limit = 0.1 + 0.2;
        table.get_mut(Rule::ReplicaFlap).window = Duration::from_nanos(1_000_000_007);
        let text = serde_json::to_string(&table).unwrap();
        assert_eq!(serde_json::from_str::<RuleTable>(&text).unwrap(), table);
    }

    #[test]
    fn a_rule_the_writer_did_not_have_is_off_and_what_it_did_not_set_is_as_shipped() {
        let text = r#"{"link_down":{"limit":3.0},"a_rule_to_come":{"limit":1}}"#;
        let table: RuleTable = serde_json::from_str(text).unwrap();
        let default = RuleTable::default();
        assert_eq!(table.get(Rule::Unreachable).action, [Action::Off; 2]);
        let expected = RuleSetting {
            limit: 3.0,
            ..*default.get(Rule::LinkDown)
        };
        assert_eq!(*table.get(Rule::LinkDown), expected);
    }

    #[test]
    fn settings_that_make_no_sense_are_refused() {
        for text in [r#"{"link_down":3}"#, r#"{"link_down":{"limit":"a few"}}"#] {
            assert!(serde_json::from_str::<RuleTable>(text).is_err(), "{text}");
        }
    }
}
