//! HTTP message signatures (RFC 9421) by HMAC-SHA256, and the content digest (RFC 9530) that binds them to the body.
//!
//! What is signed is a list of *components*, fields of the message by name and derived ones such as `@authority`, each on
//! a line of its own, and at the end the list itself with its parameters. A receiver learns the list from the
//! `signature-input` header and makes the same text of what it received.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use super::mac::Algorithm;

/// What a signature by one key adds to a message, as members of the two headers' dictionaries without their label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpMessageSignature {
    /// Of `signature-input`: the components and the parameters, for example `("@method");created=1;keyid="k"`.
    pub input: String,
    /// Of `signature`: a byte sequence of RFC 9651, for example `:pxcQw6G3AjtM...:`.
    pub signature: String,
}

/// Signs a message with a shared secret (RFC 9421, sections 2.5 and 3.3.3).
///
/// `components` are names and values in the order in which they are signed: names in lower case, derived ones with their
/// `@`; values of fields as they are sent, without surrounding space. `created` is in seconds since 1970.
#[must_use]
pub fn sign(secret: &[u8], key_id: &str, created: u64, components: &[(&str, &str)]) -> HttpMessageSignature {
    let input = signature_parameters(key_id, created, components);
    let mac = Algorithm::Sha256.mac(secret, &[signature_base(&input, components).as_bytes()]);
    let signature = format!(":{}:", STANDARD.encode(mac));
    HttpMessageSignature { input, signature }
}

/// The value of `content-digest` for a body (RFC 9530, section 2).
#[must_use]
pub fn content_digest(body: &[u8]) -> String {
    format!("sha-256=:{}:", STANDARD.encode(Sha256::digest(body)))
}

fn signature_parameters(key_id: &str, created: u64, components: &[(&str, &str)]) -> String {
    let names: Vec<String> = components.iter().map(|(name, _)| quoted(name)).collect();
    format!("({});created={created};keyid={}", names.join(" "), quoted(key_id))
}

fn signature_base(parameters: &str, components: &[(&str, &str)]) -> String {
    let mut base = String::new();
    for (name, value) in components {
        base.push_str(&format!("{}: {}\n", quoted(name), value.trim()));
    }
    base.push_str(&format!("\"@signature-params\": {parameters}"));
    base
}

/// A string of RFC 9651, section 3.3.3.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vectors() -> serde_json::Value {
        serde_json::from_str(include_str!("../../../../tests/data/vectors/signatures.json")).unwrap()
    }

    /// The request of RFC 9421, appendix B.2, as far as case B.2.5 signs it.
    #[test]
    fn signs_as_the_rfc_does() {
        let vector = &vectors()["http_message_signatures_rfc9421"][0];
        let secret = STANDARD.decode(vector["secret_base64"].as_str().unwrap()).unwrap();
        let components = [
            ("date", "Tue, 20 Apr 2021 02:07:55 GMT"),
            ("@authority", "example.com"),
            ("content-type", "application/json"),
        ];
        let signed = sign(&secret, "test-shared-secret", 1_618_884_473, &components);
        assert_eq!(signed.input, vector["input"].as_str().unwrap());
        assert_eq!(signed.signature, format!(":{}:", vector["signature"].as_str().unwrap()));
    }

    #[test]
    fn digests_as_the_rfc_does() {
        for vector in vectors()["content_digest_rfc9530"].as_array().unwrap() {
            let expect = format!("sha-256=:{}:", vector["sha-256"].as_str().unwrap());
            assert_eq!(content_digest(vector["body"].as_str().unwrap().as_bytes()), expect);
        }
    }

    #[test]
    fn a_key_id_stays_one_string() {
        let signed = sign(b"secret", r#"a"b\c"#, 1, &[("@method", "POST")]);
        assert_eq!(signed.input, r#"("@method");created=1;keyid="a\"b\\c""#);
    }
}
