//! Which arguments does the program take?
//!
//! Pure: clap's definition of the command line. Doc comments are what `--help` shows.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::NonEmptyStringValueParser;
use clap::{Parser, Subcommand, ValueEnum, ValueHint};

use crate::demo::IncidentRun;
use crate::limits::{ADMIN_DURATION_MAX, EVENTS_KEPT};
use crate::routing::Weight;

/// Below the help, and in the manual.
const EXIT_CODES: &str = "Exit codes: 0 done; 1 refused or failed, the reason on stderr in one line; 2 bad arguments or bad \
                          configuration, every fault listed with its key path.";

/// A replication-aware Redis proxy: moves live traffic by weight, watches replication on both sides, goes back by
/// itself.
#[derive(Parser)]
#[command(name = "switchback", version, after_help = EXIT_CODES)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommands.
#[derive(Subcommand)]
pub enum Command {
    /// Run the proxy, from a file or with one route from flags.
    Run(RunArgs),
    /// Validate a configuration, listing every fault with its key path.
    Check(CheckArgs),
    /// State, weight and both sides of every route.
    Status(ListArgs),
    /// Every guard rule's verdict, and what it rests on.
    Health(ListArgs),
    /// Masters, replicas and Sentinels as the proxy knows them.
    Topology(ListArgs),
    /// What has happened, newest first; with --watch what happens from now on.
    Events(EventsArgs),
    /// Print a route's weight, or move it.
    Weight(WeightArgs),
    /// Raise a route by its planned steps, each after a hold with both sides healthy.
    Ramp(RampArgs),
    /// All of a route's traffic back to 'old', at once; latches until `arm`.
    Back(BackArgs),
    /// Allow weights above 0 again after a route back.
    Arm(ArmArgs),
    /// Have the proxy apply its changed configuration file, or refuse it whole.
    Reload(ProxyArgs),
    /// Have the program, perhaps another version by now, started anew and take over without refusing a client.
    Upgrade(ProxyArgs),
    /// The guard's settings, tried on recorded history.
    Guard(GuardArgs),
    /// The incident, replayed on this machine with real Redis and Sentinel.
    Demo(DemoArgs),
    /// Print what completes this command line in a shell: for bash into /etc/bash_completion.d or the like.
    Completions(CompletionsArgs),
    /// Write manual pages, one for the program and one for each of its commands.
    Man(ManArgs),
}

/// `run`. No `Debug`: URLs may hold passwords.
#[derive(clap::Args)]
pub struct RunArgs {
    /// Configuration file.
    #[arg(long, value_name = "FILE", required_unless_present_all = ["listen", "old"])]
    pub config: Option<PathBuf>,
    /// Address apps connect to.
    #[arg(long, value_name = "ADDR", conflicts_with = "config", requires = "old")]
    pub listen: Option<SocketAddr>,
    /// The side that has the traffic: redis://host:port or redis+sentinel://host:port,…/master-name.
    #[arg(long, value_name = "URL", conflicts_with = "config", requires = "listen")]
    pub old: Option<String>,
    /// The side that is to have it.
    #[arg(long, value_name = "URL", conflicts_with = "config", requires = "old")]
    pub new: Option<String>,
    /// Unix socket for operators.
    #[arg(long, value_name = "PATH", conflicts_with = "config")]
    pub admin_socket: Option<PathBuf>,
    /// Address of /, a page for browsers, /metrics, /healthz and /readyz.
    #[arg(long, value_name = "ADDR", conflicts_with = "config")]
    pub metrics: Option<SocketAddr>,
    /// Where weight, epoch and latch are kept [default: /var/lib/switchback for root, else ~/.local/state/switchback].
    #[arg(long, value_name = "PATH", conflicts_with = "config")]
    pub state_dir: Option<PathBuf>,
    /// What a line of the log, on stderr, looks like; SWITCHBACK_LOG says what is logged: info, debug, switchback=trace.
    #[arg(
        long,
        value_name = "FORMAT",
        env = "SWITCHBACK_LOG_FORMAT",
        default_value = "text"
    )]
    pub log_format: LogFormat,
}

/// What a line of the log looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// An object a line, with `timestamp`, `level`, `message` and the event's fields.
    Json,
}

/// `check`.
#[derive(Debug, clap::Args)]
pub struct CheckArgs {
    /// Configuration file.
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// Also connect to both sides, look at them for some seconds, and print what speaks against a raise from 0.
    #[arg(long)]
    pub preflight: bool,
    /// Print one JSON document.
    #[arg(long, requires = "preflight")]
    pub json: bool,
}

/// Where the running proxy is.
#[derive(Debug, clap::Args)]
pub struct SocketArgs {
    /// The running proxy's admin socket.
    #[arg(
        long,
        value_name = "PATH",
        env = "SWITCHBACK_SOCKET",
        default_value = "/run/switchback/admin.sock"
    )]
    pub socket: PathBuf,
}

/// `reload` and `upgrade`.
#[derive(Debug, clap::Args)]
pub struct ProxyArgs {
    /// The proxy.
    #[command(flatten)]
    pub socket: SocketArgs,
}

/// `status`, `health` and `topology`.
#[derive(Debug, clap::Args)]
pub struct ListArgs {
    /// Only this route.
    pub route: Option<String>,
    /// Print one JSON document.
    #[arg(long)]
    pub json: bool,
    /// Repeat once a second. `status` on a terminal: a screen with keys for weight, back, arm and ramp, each confirmed.
    #[arg(long)]
    pub watch: bool,
    /// The proxy.
    #[command(flatten)]
    pub socket: SocketArgs,
}

/// `events`.
#[derive(Debug, clap::Args)]
pub struct EventsArgs {
    /// Only this route.
    pub route: Option<String>,
    /// At most so many.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=EVENTS_KEPT as i64), conflicts_with = "watch")]
    pub count: u16,
    /// Print one JSON document; with --watch one a line.
    #[arg(long)]
    pub json: bool,
    /// Print events as they happen, until interrupted.
    #[arg(long)]
    pub watch: bool,
    /// The proxy.
    #[command(flatten)]
    pub socket: SocketArgs,
}

/// `weight`.
#[derive(Debug, clap::Args)]
pub struct WeightArgs {
    /// The route.
    pub route: String,
    /// The share of its traffic 'new' is to have, in percent with at most two decimals.
    pub percent: Option<Weight>,
    /// Move there evenly over this long ("90s", "5m") instead of at once.
    #[arg(long, value_name = "DURATION", requires = "percent", value_parser = over)]
    pub over: Option<Duration>,
    /// Raise although a guard rule or pre-flight freezes; the reason is kept.
    #[arg(long, value_name = "REASON", requires = "percent", value_parser = NonEmptyStringValueParser::new())]
    pub force: Option<String>,
    /// The proxy.
    #[command(flatten)]
    pub socket: SocketArgs,
}

/// What to do with a ramp.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum RampStep {
    /// Begin, with a hold at the present weight.
    Start,
    /// Stay at the present weight.
    Pause,
    /// Go on, with a hold.
    Resume,
    /// End it; the weight stays.
    Abort,
}

impl RampStep {
    /// The word the admin socket takes.
    pub fn word(self) -> &'static str {
        match self {
            Self::Start => "START",
            Self::Pause => "PAUSE",
            Self::Resume => "RESUME",
            Self::Abort => "ABORT",
        }
    }
}

/// `ramp`.
#[derive(Debug, clap::Args)]
pub struct RampArgs {
    /// The route.
    pub route: String,
    /// What to do.
    pub step: RampStep,
    /// The proxy.
    #[command(flatten)]
    pub socket: SocketArgs,
}

/// `back`.
#[derive(Debug, clap::Args)]
pub struct BackArgs {
    /// The route.
    pub route: String,
    /// Why, for whoever reads the events.
    #[arg(long, value_name = "TEXT", value_parser = NonEmptyStringValueParser::new())]
    pub reason: Option<String>,
    /// The proxy.
    #[command(flatten)]
    pub socket: SocketArgs,
}

/// `arm`.
#[derive(Debug, clap::Args)]
pub struct ArmArgs {
    /// The route.
    pub route: String,
    /// The proxy.
    #[command(flatten)]
    pub socket: SocketArgs,
}

/// `guard`.
#[derive(Debug, clap::Args)]
pub struct GuardArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: GuardCommand,
}

/// The subcommands of `guard`.
#[derive(Debug, Subcommand)]
pub enum GuardCommand {
    /// What the guard would have said and done over a trace that was recorded with trace_dir.
    Replay(ReplayArgs),
}

/// `guard replay`.
#[derive(Debug, clap::Args)]
pub struct ReplayArgs {
    /// The trace.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Take the guard's settings from this configuration instead of the recorded ones.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The route of that configuration, when it is not called as the recorded one.
    #[arg(long, value_name = "NAME", requires = "config")]
    pub route: Option<String>,
    /// Assume this share of the traffic on 'new' throughout, in percent, instead of the recorded one: at 0 nothing trips.
    #[arg(long, value_name = "PERCENT")]
    pub weight: Option<Weight>,
    /// Print one JSON document.
    #[arg(long)]
    pub json: bool,
}

/// `demo`.
#[derive(Debug, clap::Args)]
pub struct DemoArgs {
    /// The incident in full, three times: as it was done, with Switchback and its guard off, with Switchback as shipped.
    /// As root on links as narrow as then, otherwise with small output buffers only. Some four minutes.
    #[arg(long)]
    pub incident: bool,
    /// Chooses sizes, rates and moments; the same ones for the three runs.
    #[arg(long, value_name = "N", requires = "incident", default_value_t = 1)]
    pub seed: u64,
    /// Also draw the three runs over time into this file.
    #[arg(long, value_name = "FILE", requires = "incident")]
    pub svg: Option<PathBuf>,
    /// Print one JSON document instead of the table; the story goes to stderr.
    #[arg(long, requires = "incident")]
    pub json: bool,
    /// Play only this one: as-done, guard-off or as-shipped.
    #[arg(long, value_name = "RUN", requires = "incident", value_parser = incident_run)]
    pub only: Option<IncidentRun>,
    /// Keep what the guard sees, a directory for each run with one, for `switchback guard replay`.
    #[arg(long, value_name = "DIR", requires = "incident")]
    pub trace: Option<PathBuf>,
}

/// `completions`.
#[derive(Debug, clap::Args)]
pub struct CompletionsArgs {
    /// The shell.
    pub shell: clap_complete::Shell,
}

/// `man`.
#[derive(Debug, clap::Args)]
pub struct ManArgs {
    /// Where to write switchback.1, switchback-status.1 and so on; it is made if it is not there. Without it the program's own page is printed.
    #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub directory: Option<PathBuf>,
}

fn incident_run(text: &str) -> Result<IncidentRun, String> {
    let named = IncidentRun::ALL.into_iter().find(|run| run.name() == text);
    named.ok_or_else(|| format!("one of {}", IncidentRun::ALL.map(IncidentRun::name).join(", ")))
}

/// What the admin socket takes: it counts in milliseconds here, so less is nothing.
fn over(text: &str) -> Result<Duration, String> {
    let duration = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    if duration < Duration::from_millis(1) || duration > ADMIN_DURATION_MAX {
        return Err("a duration from 1ms to 24h".to_owned());
    }
    Ok(duration)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn accepted(line: &str) -> bool {
        Args::try_parse_from(line.split(' ')).is_ok()
    }

    #[test]
    fn the_definition_contradicts_itself_nowhere() {
        Args::command().debug_assert();
    }

    #[test]
    fn the_command_line_of_the_contract_is_accepted() {
        for line in [
            "switchback run --config f.toml",
            "switchback run --listen 127.0.0.1:6400 --old redis://a:1",
            "switchback run --listen [::1]:6400 --old redis://a:1 --new redis://b:2 --admin-socket /s --metrics 127.0.0.1:1",
            "switchback run --config f.toml --log-format json",
            "switchback check --config f.toml --preflight",
            "switchback check --config f.toml --preflight --json",
            "switchback status",
            "switchback health r --json",
            "switchback topology r --watch --socket /s",
            "switchback events r --watch --json",
            "switchback events --count 1000",
            "switchback weight r",
            "switchback weight r 25.5 --over 5m --force because",
            "switchback ramp r start",
            "switchback back r --reason text",
            "switchback arm r",
            "switchback demo",
            "switchback completions zsh",
            "switchback man",
            "switchback man d",
            "switchback guard replay r.trace",
            "switchback guard replay r.trace --config f.toml --route r --weight 25.5 --json",
            "switchback demo --incident --seed 7 --svg f.svg --json --only as-shipped --trace d",
        ] {
            assert!(accepted(line), "{line}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for line in [
            "switchback",
            "switchback run",
            "switchback run --listen 127.0.0.1:1",
            "switchback run --old redis://a:1",
            "switchback run --config f --listen 127.0.0.1:1 --old redis://a:1",
            "switchback run --config f --log-format xml",
            "switchback check",
            "switchback check --config f.toml --json",
            "switchback weight",
            "switchback weight r 101",
            "switchback weight r -1",
            "switchback weight r --over 5s",
            "switchback weight r 1 --over 0s",
            "switchback weight r 1 --over 25h",
            "switchback weight r 1 --over x",
            "switchback ramp r",
            "switchback ramp r sideways",
            "switchback demo --incident --only twice",
            "switchback demo --only as-shipped",
            "switchback back",
            "switchback events --count 1001",
            "switchback events --count 0",
            "switchback completions",
            "switchback completions dash",
            "switchback guard",
            "switchback guard replay",
            "switchback guard replay r.trace --route r",
            "switchback demo --seed 7",
            "switchback demo --json",
        ] {
            assert!(!accepted(line), "{line}");
        }
        assert!(Args::try_parse_from(["switchback", "weight", "r", "1", "--force", ""]).is_err());
    }
}
