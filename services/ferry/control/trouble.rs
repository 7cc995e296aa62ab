//! Why a question got no answer, in words that tell what to look at.

use std::{error::Error, io};

use ferry_core::chain::Chain;
use ferry_runtime::config::BaseUrl;
use tonic::{Code, Status};

/// One line for people.
pub(super) fn explain(url: &BaseUrl, status: &Status) -> String {
    let message = status.message();
    match status.source() {
        Some(source) if refused(source) => format!("nobody listens at {url}: connection refused"),
        Some(source) if Chain(source).to_string().contains("keep-alive timed out") => {
            format!("{url} takes connections and does not answer: whoever listens there hangs, or has too much to do")
        }
        // What failed is the connection, and not who answers on it.
        Some(source) => format!(
            "{url} does not answer as a coordinator does, or a gateway's admin listener; is it the right port? ({})",
            Chain(source)
        ),
        // tonic's words for an answer that is HTTP, with a body and without.
        None if ["while receiving response with status", "grpc-status header missing"]
            .iter()
            .any(|m| message.contains(m)) =>
        {
            format!("{url} speaks HTTP and not gRPC: is it a port for clients?")
        }
        // What a gRPC server says of a service that it does not have; a gateway refuses single questions in other words.
        None if status.code() == Code::Unimplemented && message.contains("service") => format!(
            "{url} is neither a coordinator nor a gateway's admin listener: a node or another server ({message})"
        ),
        None if status.code() == Code::Unavailable => format!("the coordinator at {url} cannot answer: {message}"),
        None if message.is_empty() => format!("{url} refused: {}", status.code()),
        None => message.to_owned(),
    }
}

/// Whether the machine said that nobody listens there.
fn refused(error: &(dyn Error + 'static)) -> bool {
    let is = |error: &(dyn Error + 'static)| {
        error.downcast_ref::<io::Error>().is_some_and(|io| io.kind() == io::ErrorKind::ConnectionRefused)
    };
    std::iter::successors(Some(error), |error: &&(dyn Error + 'static)| (*error).source()).any(is)
}

#[cfg(test)]
mod tests {
    use ferry_proto::v1::{ListNodesRequest, cluster_service_client::ClusterServiceClient};
    use ferry_runtime::{config::FromSetting as _, coordinators::dial};
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

    use super::*;

    /// What is said of a question to whoever is at `url`.
    async fn asked(url: &str) -> String {
        let url = BaseUrl::parse(url).expect("a URL");
        let mut client = ClusterServiceClient::new(dial(&url, None).expect("it can be dialled"));
        let status = client.list_nodes(ListNodesRequest {}).await.expect_err("nobody answers");
        explain(&url, &status)
    }

    #[test]
    fn a_server_of_something_else_is_named() {
        let url = BaseUrl::parse("http://127.0.0.1:9001").expect("a URL");
        let said = explain(&url, &Status::unimplemented("no such service"));
        assert!(said.starts_with("http://127.0.0.1:9001 is neither a coordinator nor"), "{said}");
        let said = explain(&url, &Status::unimplemented("a gateway decides nothing: ask a coordinator"));
        assert_eq!(said, "a gateway decides nothing: ask a coordinator");
    }

    #[tokio::test]
    async fn a_port_where_nobody_listens_is_named() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("bound"));
        drop(listener);
        assert_eq!(asked(&url).await, format!("nobody listens at {url}: connection refused"));
    }

    #[tokio::test]
    async fn a_port_of_another_kind_is_named_and_suspected() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("bound"));
        let serve = async {
            let (mut stream, _) = listener.accept().await.expect("it comes");
            let _ = stream.read(&mut [0; 1024]).await.expect("it asks");
            stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.expect("it listens");
        };
        let (said, ()) = tokio::join!(asked(&url), serve);
        assert!(said.starts_with(&url) && said.contains("is it the right port?"), "{said}");
    }
}
