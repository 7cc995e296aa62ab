//! The command line of a role, made from its table.

use clap::{Arg, ArgAction, Command, builder::OsStringValueParser};

use super::setting::{Kind, Setting};

/// The `clap` command `role` with one flag for each setting that has one; the caller adds positional arguments.
///
/// Neither defaults nor the environment are left to clap: it could not say where a value came from.
#[must_use]
pub fn command(role: &'static str, about: &'static str, tables: &[&[Setting]]) -> Command {
    let settings = tables.iter().copied().flatten().filter(|setting| setting.flag);
    Command::new(role).about(about).args(settings.map(|setting| flag(role, setting)))
}

fn flag(role: &str, setting: &Setting) -> Arg {
    let arg =
        Arg::new(setting.name).long(setting.name).help(help(role, setting)).value_parser(OsStringValueParser::new());
    match setting.kind {
        Kind::Text(placeholder) => arg.value_name(placeholder),
        Kind::List(placeholder) => arg.value_name(format!("{placeholder},…")).action(ArgAction::Append),
        // `--insecure` alone means yes; `--insecure=false` overrides a file that says yes.
        Kind::Switch => arg
            .value_name("BOOL")
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true")
            .hide_possible_values(true),
    }
}

fn help(role: &str, setting: &Setting) -> String {
    let mut help = format!("{} [env: ", setting.help);
    for name in setting.env {
        help.push_str(name);
        help.push_str(", ");
    }
    help.push_str(&setting.own_env(role));
    help.push(']');
    if let Some(default) = setting.default {
        help.push_str(&format!(" [default: {default}]"));
    }
    help
}
