//! `ferry nodes`: what the cluster has, and what operators decide about it.

pub(crate) mod source;
mod table;
mod weight;

use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Arg, ArgAction, ArgMatches, Command};
use ferry_core::node::NodeState;
use ferry_proto::v1;

use self::source::Source;
pub(crate) use self::table::rate;
use crate::{
    control::{self, Control},
    output,
};

pub(crate) fn command() -> Command {
    let id = || Arg::new("id").value_name("ID").required(true).help("The node's id");
    let force = Arg::new("force").long("force").action(ArgAction::SetTrue).help("Remove it even while it is alive");
    Command::new("nodes")
        .about("Lists nodes, and carries out what operators decide about them")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .arg(Arg::new("json").long("json").action(ArgAction::SetTrue).global(true).help("Print JSON, for programs"))
        .subcommand(Command::new("list").about("Every node on record"))
        .subcommand(Command::new("show").about("All that is known of one node").arg(id()))
        .subcommand(Command::new("drain").about("Sends a node no new clients; what it began goes on").arg(id()))
        .subcommand(Command::new("maintenance").about("The same, and nobody misses it while it is away").arg(id()))
        .subcommand(
            Command::new("resume").about("Sends a node clients again that was drained or in maintenance").arg(id()),
        )
        .subcommand(
            Command::new("set").about("Decides what counts in place of a node's own word").arg(id()).arg(weight::arg()),
        )
        .subcommand(Command::new("remove").about("Forgets a node that is gone for good").arg(id()).arg(force))
}

pub(crate) fn run(matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    control::run(async {
        let (name, matches) = matches.subcommand().context("clap wants a subcommand")?;
        let mut control = Control::from_matches(matches)?;
        let json = matches.get_flag("json");
        let id = || matches.get_one::<String>("id").cloned().unwrap_or_default();
        match name {
            "list" => {
                let listed = control.ask(v1::ListNodesRequest {}, async |c, q| c.list_nodes(q).await).await?;
                output::say(&if json { table::json_list(&listed) } else { table::list(&listed) });
            }
            "show" => {
                let question = v1::GetNodeRequest { node_id: id() };
                let answer = control.ask(question, async |c, q| c.get_node(q).await).await?;
                show(answer.node.as_ref(), &Source::from(&answer), json);
            }
            "drain" => {
                let question = v1::DrainNodeRequest { node_id: id() };
                let answer = control.ask(question, async |c, q| c.drain_node(q).await).await?;
                decided(answer.node.as_ref(), json, |_| "gets no new clients");
            }
            "maintenance" => {
                let question = v1::MaintainNodeRequest { node_id: id() };
                let answer = control.ask(question, async |c, q| c.maintain_node(q).await).await?;
                decided(answer.node.as_ref(), json, |_| "may be away");
            }
            "resume" => {
                let question = v1::ResumeNodeRequest { node_id: id() };
                let answer = control.ask(question, async |c, q| c.resume_node(q).await).await?;
                decided(answer.node.as_ref(), json, resumed);
            }
            "set" => {
                let question = weight::request(id(), matches)?;
                let answer = control.ask(question, async |c, q| c.set_node(q).await).await?;
                match answer.node {
                    Some(node) if json => output::say(&table::json(&node, &Source::default()).to_string()),
                    Some(node) => output::say(&format!("{} has the weight {}", table::id(&node), table::weight(&node))),
                    None => {}
                }
            }
            _ => {
                let question = v1::RemoveNodeRequest { node_id: id(), force: matches.get_flag("force") };
                control.ask(question, async |c, q| c.remove_node(q).await).await?;
                output::say(&if json { "{}".to_owned() } else { format!("{} is forgotten", id()) });
            }
        }
        Ok(ExitCode::SUCCESS)
    })
}

fn show(node: Option<&v1::NodeStatus>, source: &Source, json: bool) {
    if let Some(node) = node {
        output::say(&if json { table::json(node, source).to_string() } else { table::show(node, source) });
    }
}

fn decided(node: Option<&v1::NodeStatus>, json: bool, outcome: impl FnOnce(NodeState) -> &'static str) {
    match node {
        Some(node) if json => output::say(&table::json(node, &Source::default()).to_string()),
        Some(node) => {
            let (id, state) = (table::id(node), table::state(node));
            output::say(&format!("{id} is {state} and {}", outcome(state)));
        }
        None => {}
    }
}

/// What a decision that it serves means for a node in that state.
const fn resumed(state: NodeState) -> &'static str {
    match state {
        NodeState::Up | NodeState::Degraded => "gets clients again",
        NodeState::Suspect => "gets clients again where no other node is better: its beats are late",
        NodeState::Probation => "gets clients again once it has proved itself: after three beats and a probe",
        NodeState::Draining => "gets no new clients: no operator drains it any more, but it is stopping by itself",
        NodeState::Maintenance => "gets no new clients: the decision has not taken effect yet",
        NodeState::Down => "gets clients again when it is back, and has proved itself",
    }
}
