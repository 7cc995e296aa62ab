//! The command line: every role's flags come from its table of settings.

use std::process::ExitCode;

use clap::Command;
use ferry_runtime::config::{COMMON, EXIT_CONFIG, Setting, command as role};

use crate::{control, explain, get, nodes, output, purge, sign, up, warm};

/// One role: its tables, and the structured sections of its TOML file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Role {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) tables: &'static [&'static [Setting]],
    pub(crate) sections: &'static [&'static str],
}

pub(crate) const COORDINATOR: Role = Role {
    name: "coordinator",
    about: "Hears the nodes, tells the gateways, keeps operators' decisions",
    tables: &[COMMON, ferry_coordinator::SETTINGS],
    sections: &[],
};
pub(crate) const GATEWAY: Role = Role {
    name: "gateway",
    about: "Redirects downloads to the node that serves them best",
    tables: ferry_gateway::TABLES,
    sections: ferry_gateway::SECTIONS,
};
pub(crate) const NODE: Role = Role {
    name: "node",
    about: "Serves files from a disk or an HTTP origin",
    tables: ferry_node::TABLES,
    sections: ferry_node::SECTIONS,
};

/// Every role that runs as a process of its own.
pub(crate) const ROLES: [Role; 3] = [COORDINATOR, GATEWAY, NODE];

impl Role {
    pub(crate) fn command(&self) -> Command {
        role(self.name, self.about, self.tables)
    }
}

/// The whole command line.
pub(crate) fn command() -> Command {
    let check = Command::new("check-config")
        .about("Checks a role's configuration and does nothing else")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommands(ROLES.map(|role| role.command()));
    Command::new("ferry")
        .about("A download cluster in one binary")
        .version(env!("CARGO_PKG_VERSION"))
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(up::command())
        .subcommands(ROLES.map(|role| role.command()))
        .subcommand(nodes::command().args(control::args()))
        .subcommand(explain::command())
        .subcommand(get::command())
        .subcommand(sign::command().args(control::args()))
        .subcommand(warm::command().args(control::args()))
        .subcommand(purge::command().args(control::args()))
        .subcommand(check)
}

/// Says what is wrong with a command line (64), or what was asked for (`--help`, `--version`: 0).
pub(crate) fn refuse(refusal: &clap::Error) -> ExitCode {
    if refusal.use_stderr() {
        output::complain(&refusal.render().to_string());
        ExitCode::from(EXIT_CONFIG)
    } else {
        output::say(&refusal.render().to_string());
        ExitCode::SUCCESS
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_command_line_is_consistent() {
        super::command().debug_assert();
    }
}
