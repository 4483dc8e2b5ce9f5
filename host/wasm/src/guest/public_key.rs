//! Public keys as providers publish them, and what they sign.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey,
    VerificationAlgorithm,
};

use crate::bindings::hookmill::plugin::crypto::SignatureAlgorithm;

const SEQUENCE: u8 = 0x30;
const BIT_STRING: u8 = 0x03;
/// An uncompressed point of P-256: a byte and two coordinates.
const P256_POINT_BYTES: usize = 65;
const P256_FIXED_SIGNATURE_BYTES: usize = 64;
const ED25519_KEY_BYTES: usize = 32;

/// Whether `signature` signs `data` under a public key: PEM, or DER or the bare key as bytes, base64 or hexadecimal.
/// None where it is no key for the algorithm.
pub(super) fn verify(
    algorithm: SignatureAlgorithm,
    key: &[u8],
    data: &[u8],
    signature: &[u8],
) -> Option<bool> {
    let decoded = decode(key);
    let bare = bare_key(&decoded);
    let scheme: &'static dyn VerificationAlgorithm = match algorithm {
        SignatureAlgorithm::Ed25519 if bare.len() == ED25519_KEY_BYTES => &ED25519,
        SignatureAlgorithm::EcdsaP256Sha256 if bare.len() == P256_POINT_BYTES => {
            // Providers send either form: `r` and `s` side by side, or ASN.1.
            if signature.len() == P256_FIXED_SIGNATURE_BYTES {
                &ECDSA_P256_SHA256_FIXED
            } else {
                &ECDSA_P256_SHA256_ASN1
            }
        }
        SignatureAlgorithm::RsaPkcs1Sha256 if element(SEQUENCE, bare).is_some() => {
            &RSA_PKCS1_2048_8192_SHA256
        }
        SignatureAlgorithm::Ed25519
        | SignatureAlgorithm::EcdsaP256Sha256
        | SignatureAlgorithm::RsaPkcs1Sha256 => return None,
    };
    Some(UnparsedPublicKey::new(scheme, bare).verify(data, signature).is_ok())
}

/// The bytes that a key's text stands for, or the bytes as they are.
fn decode(key: &[u8]) -> Vec<u8> {
    let text = std::str::from_utf8(key).map(str::trim).unwrap_or_default();
    let decoded = if text.starts_with("-----BEGIN ") {
        let lines = text.lines().map(str::trim).filter(|line| !line.starts_with("-----"));
        STANDARD.decode(lines.collect::<String>()).ok()
    } else {
        hex::decode(text).ok().or_else(|| STANDARD.decode(text).ok())
    };
    decoded.filter(|bytes| !bytes.is_empty()).unwrap_or_else(|| key.to_vec())
}

/// The key inside a `SubjectPublicKeyInfo` (RFC 5280, 4.1): the algorithm's sequence, then the key as a bit string.
fn bare_key(key: &[u8]) -> &[u8] {
    let bit_string = || {
        let (info, rest) = element(SEQUENCE, key)?;
        let (_algorithm, info) = element(SEQUENCE, info)?;
        let (bits, end) = element(BIT_STRING, info)?;
        (rest.is_empty() && end.is_empty()).then(|| bits.strip_prefix(&[0])).flatten()
    };
    bit_string().unwrap_or(key)
}

/// The content of a DER element of this tag, and what follows it. Lengths have at most two bytes, as no key is longer.
fn element(tag: u8, input: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&found, rest) = input.split_first()?;
    let (length, rest) = match rest {
        [length @ 0..=0x7f, rest @ ..] => (usize::from(*length), rest),
        [0x81, length, rest @ ..] => (usize::from(*length), rest),
        [0x82, high, low, rest @ ..] => (usize::from(u16::from_be_bytes([*high, *low])), rest),
        _ => return None,
    };
    (found == tag).then(|| rest.split_at_checked(length)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    // Keys and signatures of `hello`, made with OpenSSL.
    const ED25519_PEM: &str = "-----BEGIN PUBLIC KEY-----\n\
        MCowBQYDK2VwAyEA/znJQtSFRDmypJ2dcX0rWmr+re8+eNiMAE/xiqOeznk=\n\
        -----END PUBLIC KEY-----";
    const ED25519_SIGNATURE: &str =
        "4qRvbvCyR9EH3Lue2yjl+GmymBL3rSkWxK2vAgJgefmUkrFC+zm1TCOX6ceLEkL/oZTflpeWzKlVowdU48q8CQ==";
    const P256_PEM: &str = "-----BEGIN PUBLIC KEY-----\n\
        MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEa7v+OkSN+povgMYJR7LvfNQtAXnZ\n\
        cSheSOtYbwXx6fgiFQRdCq3O1ZAcITjIZWwI3W8q1f5bo+pAtB50I86s5Q==\n\
        -----END PUBLIC KEY-----";
    const P256_SIGNATURE: &str =
        "MEQCIBDNImHQkbXlLhLzaCR8FYOZh7i1TiJX6Lytmw+cOMdVAiBb+HWeyFYwy0DrXupBOsM8cXQ0Z0tVipgFCoC88WP0eg==";
    const P256_SIGNATURE_FIXED: &str =
        "EM0iYdCRteUuEvNoJHwVg5mHuLVOIlfovK2bD5w4x1Vb+HWeyFYwy0DrXupBOsM8cXQ0Z0tVipgFCoC88WP0eg==";
    const RSA_PEM: &str = "-----BEGIN PUBLIC KEY-----\n\
        MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA1y6Iv8Oy7VVqIu2SLSDP\n\
        Hzrj77rZy6VxzuPOcp8AlUgHXAA8bs+cjU1fdvnu2muZcZunbkmmwRjxFGhrN4R2\n\
        MusZYTYfHXtqIOkLyQxlEBaJ0yU6nZxWPqbxmRDvqT1pClAToQZd5lGaqNLv+Lo9\n\
        cIooN/FXWskasRI8yVL/4QI+9WEEP0aVGRGxNPPUkjYm4sBFX9G6n97pEyy+SZKD\n\
        nSEES4xx82iufpxcw9vPzRh35Ss/VoUGh320wjNXAPMBvXcG/+01tla8Cxb2GpPe\n\
        THaxWLr7HwN6R4oY7NwqWgXuKa+C2vm6RVdXGVIWjiHmkFwDYeC4R4v121Ftqaoe\n\
        6QIDAQAB\n\
        -----END PUBLIC KEY-----";
    const RSA_PKCS1_PEM: &str = "-----BEGIN RSA PUBLIC KEY-----\n\
        MIIBCgKCAQEA1y6Iv8Oy7VVqIu2SLSDPHzrj77rZy6VxzuPOcp8AlUgHXAA8bs+c\n\
        jU1fdvnu2muZcZunbkmmwRjxFGhrN4R2MusZYTYfHXtqIOkLyQxlEBaJ0yU6nZxW\n\
        PqbxmRDvqT1pClAToQZd5lGaqNLv+Lo9cIooN/FXWskasRI8yVL/4QI+9WEEP0aV\n\
        GRGxNPPUkjYm4sBFX9G6n97pEyy+SZKDnSEES4xx82iufpxcw9vPzRh35Ss/VoUG\n\
        h320wjNXAPMBvXcG/+01tla8Cxb2GpPeTHaxWLr7HwN6R4oY7NwqWgXuKa+C2vm6\n\
        RVdXGVIWjiHmkFwDYeC4R4v121Ftqaoe6QIDAQAB\n\
        -----END RSA PUBLIC KEY-----";
    const RSA_SIGNATURE: &str = "\
        cclieot1ybjJP+rFodDBijgQxQz4aXedrNzvWrP84gV71c9Mk/L8VPdfuP4uATjPeg2L4MdMQHLGppOlzzBsrQKiwZ\
        bJK7Ey8hcSJ3PuuqVxguO/2HhhhRTi0wUoHCt200ADqUc9QqHZo+GsXz0Dxp3vh6T5isbCO4D4tunuwy2lI+4j+KJs\
        WpVlmuLMrrmIpK8YzexvvgJ/mB5ozO8T7ics/9PuOHPM6052FSvI9aB9LTXoQasrvM+wAgTrhwMBwlIBoET+xDmTfC\
        X5YEqHnFYEKC3gZ2utG77D8pmDd56nQo1PE4DZvXPSCT84TTHk5TKFg+1NR1jPBS8rzN9gmw==";

    fn check(algorithm: SignatureAlgorithm, key: &[u8], data: &[u8], signature: &str, expect: Option<bool>) {
        let signature = STANDARD.decode(signature).unwrap();
        let shown = String::from_utf8_lossy(key);
        assert_eq!(verify(algorithm, key, data, &signature), expect, "{shown}");
    }

    #[test]
    fn every_algorithm_tells_right_from_wrong() {
        use SignatureAlgorithm::{EcdsaP256Sha256, Ed25519, RsaPkcs1Sha256};
        let rows = [
            (Ed25519, ED25519_PEM, ED25519_SIGNATURE),
            (EcdsaP256Sha256, P256_PEM, P256_SIGNATURE),
            (EcdsaP256Sha256, P256_PEM, P256_SIGNATURE_FIXED),
            (RsaPkcs1Sha256, RSA_PEM, RSA_SIGNATURE),
            (RsaPkcs1Sha256, RSA_PKCS1_PEM, RSA_SIGNATURE),
        ];
        for (algorithm, key, signature) in rows {
            check(algorithm, key.as_bytes(), b"hello", signature, Some(true));
            check(algorithm, key.as_bytes(), b"hellO", signature, Some(false));
            check(algorithm, key.as_bytes(), b"hello", "", Some(false));
        }
        check(Ed25519, P256_PEM.as_bytes(), b"hello", ED25519_SIGNATURE, None);
        check(EcdsaP256Sha256, RSA_PEM.as_bytes(), b"hello", P256_SIGNATURE, None);
        check(RsaPkcs1Sha256, ED25519_PEM.as_bytes(), b"hello", RSA_SIGNATURE, None);
        for nonsense in ["x", "-----BEGIN PUBLIC KEY-----\n!\n-----END PUBLIC KEY-----", "3082ffff00"] {
            for algorithm in [Ed25519, EcdsaP256Sha256, RsaPkcs1Sha256] {
                check(algorithm, nonsense.as_bytes(), b"hello", ED25519_SIGNATURE, None);
            }
        }
    }

    #[test]
    fn keys_are_taken_in_every_form_that_providers_publish() {
        let der = decode(ED25519_PEM.as_bytes());
        let bare = bare_key(&der).to_vec();
        assert_eq!((der.len(), bare.len()), (44, ED25519_KEY_BYTES));
        let forms = [
            der.clone(),
            STANDARD.encode(&der).into_bytes(),
            hex::encode(&bare).into_bytes(),
            format!("{}\n", hex::encode(&bare)).into_bytes(),
            STANDARD.encode(&bare).into_bytes(),
            bare,
        ];
        for form in forms {
            check(SignatureAlgorithm::Ed25519, &form, b"hello", ED25519_SIGNATURE, Some(true));
        }
    }
}
