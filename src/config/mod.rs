//! What has the operator asked for? Types, and the way from a TOML file or flags to them.

mod model;

pub use model::{
    Config, GuardConfig, HoldLimits, OnUncertain, ProxyConfig, RouteConfig, RouteLimits, SubscribeTo,
};
