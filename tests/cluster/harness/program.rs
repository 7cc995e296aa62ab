//! A program that a test runs: ended with the test, its log judged.

use std::{
    ffi::{OsStr, OsString},
    fs::{self, File},
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    process::{Child, Command},
    time::timeout,
};

/// How many lines of a log are shown where a test fails.
const SHOWN_LINES: usize = 60;

/// A program with its arguments; it can be started, ended in several ways, and started again as the same.
pub(crate) struct Program {
    name: String,
    executable: OsString,
    arguments: Vec<OsString>,
    environment: Vec<(String, OsString)>,
    log: PathBuf,
    tolerated: Vec<&'static str>,
    judged: bool,
    running: Option<Child>,
}

impl Program {
    /// Nothing runs yet. What it says goes to `NAME.log` in `folder`.
    pub(crate) fn new(name: &str, executable: impl AsRef<OsStr>, folder: &Path) -> Self {
        let log = folder.join(format!("{name}.log"));
        // From now on a log that is not there is a mistake of the harness, and not a process that said nothing.
        File::create(&log).expect("the test's own folder can be written");
        Self {
            name: name.to_owned(),
            executable: executable.as_ref().to_owned(),
            arguments: Vec::new(),
            environment: Vec::new(),
            log,
            tolerated: Vec::new(),
            judged: false,
            running: None,
        }
    }

    pub(crate) fn arg(&mut self, argument: impl AsRef<OsStr>) -> &mut Self {
        self.arguments.push(argument.as_ref().to_owned());
        self
    }

    pub(crate) fn args(&mut self, arguments: &[&str]) -> &mut Self {
        self.arguments.extend(arguments.iter().map(OsString::from));
        self
    }

    /// Gives a flag another value than it was given before.
    pub(crate) fn change(&mut self, flag: &str, value: impl AsRef<OsStr>) -> &mut Self {
        let at = self.arguments.iter().position(|argument| argument == flag);
        let at = at.unwrap_or_else(|| panic!("{} has no {flag}", self.name));
        value.as_ref().clone_into(&mut self.arguments[at + 1]);
        self
    }

    pub(crate) fn env(&mut self, name: &str, value: impl AsRef<OsStr>) -> &mut Self {
        self.environment.push((name.to_owned(), value.as_ref().to_owned()));
        self
    }

    /// From now on a line at level ERROR, or a panic, fails the test.
    pub(crate) fn judged(&mut self) -> &mut Self {
        self.judged = true;
        self
    }

    /// Runs it as a user whom permissions bind: root reads everything unless that capability is taken away.
    pub(crate) fn without_override(&mut self) -> &mut Self {
        if rustix::process::geteuid().is_root() {
            let program = std::mem::replace(&mut self.executable, "setpriv".into());
            self.arguments.splice(0..0, ["--bounding-set=-dac_override,-dac_read_search".into(), program]);
        }
        self
    }

    /// Lists an ERROR line that this test provokes: one that has `text` in it.
    pub(crate) fn tolerate(&mut self, text: &'static str) -> &mut Self {
        self.tolerated.push(text);
        self
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Starts it. The log goes on where an earlier life of it ended.
    pub(crate) fn start(&mut self) {
        assert!(self.running.is_none(), "{} is running already", self.name);
        let log = File::options().create(true).append(true).open(&self.log).expect("a log in the test's own folder");
        let child = Command::new(&self.executable)
            .args(&self.arguments)
            .env_clear() // the developer's own NODE_ID or MAIN_SERVER_URL must not decide
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a second handle of the log"))
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| {
                let name = self.executable.display();
                panic!("{name} does not start ({error}); ./tests/run installs what the tests need")
            });
        self.running = Some(child);
    }

    fn pid(&self) -> Pid {
        let id = self.running.as_ref().and_then(Child::id).and_then(|id| i32::try_from(id).ok());
        id.and_then(Pid::from_raw).unwrap_or_else(|| panic!("{} is not running", self.name))
    }

    /// The process's number, while it runs.
    pub(crate) fn id(&self) -> u32 {
        self.pid().as_raw_nonzero().get().unsigned_abs()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).expect("an own child can be signalled");
    }

    /// Whether it still runs.
    pub(crate) fn is_running(&mut self) -> bool {
        self.running.as_mut().is_some_and(|child| child.try_wait().expect("an own child can be asked").is_none())
    }

    /// SIGKILL: a crash, or a power cut of the machine it is on.
    pub(crate) async fn kill(&mut self) {
        self.signal(Signal::KILL);
        self.exit(Duration::from_secs(5)).await;
    }

    /// SIGTERM, and the wait for what it does then.
    pub(crate) async fn stop(&mut self, limit: Duration) -> ExitStatus {
        self.signal(Signal::TERM);
        self.exit(limit).await
    }

    /// Waits until it ends by itself.
    pub(crate) async fn exit(&mut self, limit: Duration) -> ExitStatus {
        let mut child = self.running.take().unwrap_or_else(|| panic!("{} is not running", self.name));
        let Ok(status) = timeout(limit, child.wait()).await else {
            self.running = Some(child);
            panic!("{} did not end within {limit:?}", self.name);
        };
        status.expect("an own child can be waited for")
    }

    /// All that it said so far, over all its lives.
    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).expect("the folder outlives the program")).into_owned()
    }

    /// The lines that no role writes when all is well.
    fn troubles(&self) -> Vec<String> {
        let listed = |line: &str| self.tolerated.iter().any(|text| line.contains(text));
        let trouble = |line: &str| {
            line.contains(" ERROR ") || line.contains("\"level\":\"ERROR\"") || line.contains("panicked at")
        };
        self.log().lines().filter(|line| trouble(line) && !listed(line)).map(str::to_owned).collect()
    }

    #[allow(clippy::print_stderr, reason = "a failed test shows what its processes said")]
    fn show_log(&self) {
        let log = self.log();
        let skipped = log.lines().count().saturating_sub(SHOWN_LINES);
        let shown: Vec<&str> = log.lines().skip(skipped).collect();
        eprintln!("--- {}: {} ({skipped} lines above)\n{}", self.name, self.log.display(), shown.join("\n"));
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // SIGKILL ends a stopped process too. Not waited for: the runtime or the test's own end collects it.
        if let Some(child) = &mut self.running {
            child.start_kill().ok();
        }
        if std::thread::panicking() {
            self.show_log();
            return;
        }
        if self.judged {
            let troubles = self.troubles();
            if !troubles.is_empty() {
                self.show_log();
                panic!("{} reported what this test does not list:\n{}", self.name, troubles.join("\n"));
            }
        }
    }
}
