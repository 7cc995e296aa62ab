//! The client's side of TLS 1.3: AES-128-GCM alone, so that every server encrypts with the same.

use std::{
    io::{BufRead, ErrorKind, Write},
    net::TcpStream,
    sync::Arc,
};

use anyhow::{Context, Result, ensure};
use rustls::{
    CipherSuite, ClientConfig, ClientConnection, DigitallySignedStruct, Error, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
};

#[derive(Debug)]
pub(super) struct Tls(ClientConnection);

impl Tls {
    /// Waits for the handshake on a blocking socket.
    pub(super) fn handshake(config: &Arc<ClientConfig>, stream: &mut TcpStream) -> Result<Self> {
        let name = ServerName::try_from("localhost").context("a good name")?;
        let mut client = ClientConnection::new(Arc::clone(config), name)?;
        while client.is_handshaking() {
            client.complete_io(stream).context("the TLS handshake")?;
        }
        let suite = client.negotiated_cipher_suite().map(|suite| suite.suite());
        ensure!(suite == Some(CipherSuite::TLS13_AES_128_GCM_SHA256), "negotiated {suite:?}");
        Ok(Self(client))
    }

    pub(super) fn send(&mut self, bytes: &[u8], stream: &mut TcpStream) -> Result<()> {
        self.0.writer().write_all(bytes)?;
        while self.0.wants_write() {
            self.0.write_tls(stream).context("sending a request")?;
        }
        Ok(())
    }

    /// Decrypts what has arrived and hands it on.
    pub(super) fn open(&mut self, mut sealed: &[u8], mut take: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        while !sealed.is_empty() {
            self.0.read_tls(&mut sealed)?;
            self.0.process_new_packets().context("what the server sealed")?;
            let mut reader = self.0.reader();
            loop {
                let count = match reader.fill_buf() {
                    Ok(plain) => {
                        take(plain)?;
                        plain.len()
                    }
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(error) => return Err(error).context("what the server sealed"),
                };
                ensure!(count > 0, "the server closed the connection in the middle");
                reader.consume(count);
            }
        }
        Ok(())
    }
}

/// What all connections of a run share.
pub(super) fn config() -> Result<Arc<ClientConfig>> {
    let provider = CryptoProvider {
        cipher_suites: vec![ring::cipher_suite::TLS13_AES_128_GCM_SHA256],
        ..ring::default_provider()
    };
    let config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody(ring::default_provider())))
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// Believes any certificate: the server is one that this program started a moment ago, on loopback.
#[derive(Debug)]
struct Anybody(CryptoProvider);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
