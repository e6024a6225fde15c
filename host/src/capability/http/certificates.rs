//! The certificate chain that an origin presents, for a job to look at. Nothing is sent but the TLS handshake, and nothing
//! is believed.

use std::sync::Arc;

use reqwest::Url;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error as TlsError, SignatureScheme};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::gate::Error;
use super::grant::literal;

/// The chain that the server at this end presents for the URL's host, its own certificate first, in DER (RFC 5280).
///
/// # Errors
/// There is no TLS there, or the handshake fails for another reason than a certificate.
pub(super) async fn chain(stream: TcpStream, url: &Url) -> Result<Vec<Vec<u8>>, Error> {
    let host = url.host_str().unwrap_or_default();
    let name = match literal(host) {
        Some(address) => ServerName::IpAddress(address.into()),
        None => ServerName::try_from(host.to_owned())
            .map_err(|_| Error::Invalid(format!("`{host}` is no name that a certificate can have")))?,
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let failed = |reason: String| Error::Failed(format!("`{host}`: {}", crate::runtime::clean(&reason, 512)));
    let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| failed(error.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anything(provider)))
        .with_no_client_auth();
    let connecting = TlsConnector::from(Arc::new(config)).connect(name, stream);
    let connection = connecting.await.map_err(|error| failed(error.to_string()))?;
    let chain = connection.get_ref().1.peer_certificates().unwrap_or_default();
    Ok(chain.iter().map(|certificate| certificate.as_ref().to_vec()).collect())
}

/// Accepts every certificate: what is shown here is not trusted by anybody. Never to be used for a request.
#[derive(Debug)]
struct Anything(Arc<CryptoProvider>);

impl ServerCertVerifier for Anything {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
