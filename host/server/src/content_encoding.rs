//! Bodies that were compressed when they were sent (RFC 9110, section 8.4).

use std::io::Read;

use bytes::Bytes;
use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use http::header::CONTENT_ENCODING;
use http::{HeaderMap, StatusCode};

use crate::error::ApiError;

/// What a body is without its coding; nothing where it has none. The header goes: what it says is true no more. What grows
/// beyond `bytes_max` is refused as soon as it does.
pub(crate) fn decode(
    headers: &mut HeaderMap,
    body: &Bytes,
    bytes_max: usize,
) -> Result<Option<Bytes>, ApiError> {
    let mut codings: Vec<String> = Vec::new();
    for value in headers.get_all(CONTENT_ENCODING) {
        let names = value.to_str().map_err(|_| unsupported())?.split(',');
        let names = names.map(|name| name.trim().to_ascii_lowercase());
        codings.extend(names.filter(|name| !name.is_empty() && name != "identity"));
    }
    let coding = match codings.as_slice() {
        [] => return Ok(None),
        [only] => only.as_str(),
        // A coding of a coding is a way to send much with little, and no provider's.
        [_, _, ..] => return Err(unsupported()),
    };
    let decoded = match coding {
        _ if body.is_empty() => Bytes::new(),
        "gzip" | "x-gzip" => read(MultiGzDecoder::new(&body[..]), bytes_max)?,
        // RFC 9110, section 8.4.1.2: some send it without the zlib format that it should have.
        "deflate" => match read(ZlibDecoder::new(&body[..]), bytes_max) {
            Err(error) if error.status == StatusCode::BAD_REQUEST => {
                read(DeflateDecoder::new(&body[..]), bytes_max)?
            }
            decoded => decoded?,
        },
        _ => return Err(unsupported()),
    };
    headers.remove(CONTENT_ENCODING);
    Ok(Some(decoded))
}

fn read(decoder: impl Read, bytes_max: usize) -> Result<Bytes, ApiError> {
    let mut decoded = Vec::new();
    let read = decoder.take(bytes_max as u64 + 1).read_to_end(&mut decoded);
    read.map_err(|_| {
        let detail = "the body is not encoded as its `Content-Encoding` says, or it was cut";
        ApiError::new(StatusCode::BAD_REQUEST, "content_encoding_invalid", detail)
    })?;
    if decoded.len() > bytes_max {
        let detail =
            format!("the decoded body is larger than {bytes_max} bytes, the most that is taken here");
        return Err(ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "payload_too_large", detail));
    }
    Ok(decoded.into())
}

fn unsupported() -> ApiError {
    let detail = "a body may be encoded once, by `gzip` or `deflate`; send it so, or as it is";
    ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "content_encoding_unsupported", detail)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

    use super::*;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn check(codings: &[&str], body: &[u8], expect: Result<Option<&[u8]>, &str>) {
        let mut headers = HeaderMap::new();
        for coding in codings {
            headers.append(CONTENT_ENCODING, coding.parse().unwrap());
        }
        let decoded = decode(&mut headers, &Bytes::copy_from_slice(body), 1000);
        let decoded = decoded.as_ref().map(|body| body.as_deref()).map_err(|error| error.code);
        assert_eq!(decoded, expect, "{codings:?}");
        if let Ok(Some(_)) = decoded {
            assert!(!headers.contains_key(CONTENT_ENCODING));
        }
    }

    #[test]
    fn a_body_is_decoded_by_its_coding() {
        let text = b"{\"type\": \"invoice.paid\"}";
        check(&[], text, Ok(None));
        check(&["identity"], text, Ok(None));
        check(&["gzip"], &gzip(text), Ok(Some(text)));
        check(&["X-GZIP, identity"], &gzip(text), Ok(Some(text)));
        check(&["gzip"], &[gzip(b"ab"), gzip(b"c")].concat(), Ok(Some(b"abc")));
        check(&["gzip"], b"", Ok(Some(b"")));
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::fast());
        zlib.write_all(text).unwrap();
        check(&["deflate"], &zlib.finish().unwrap(), Ok(Some(text)));
        let mut bare = DeflateEncoder::new(Vec::new(), Compression::fast());
        bare.write_all(text).unwrap();
        check(&["deflate"], &bare.finish().unwrap(), Ok(Some(text)));
    }

    #[test]
    fn what_is_no_such_coding_or_grows_too_large_is_refused() {
        check(&["gzip"], b"{}", Err("content_encoding_invalid"));
        check(&["gzip"], &gzip(b"abc")[..10], Err("content_encoding_invalid"));
        check(&["deflate"], b"\xff\xff", Err("content_encoding_invalid"));
        check(&["gzip"], &gzip(&[b'x'; 1000]), Ok(Some(&[b'x'; 1000])));
        check(&["gzip"], &gzip(&vec![b'x'; 10_000_000]), Err("payload_too_large"));
        check(&["br"], b"{}", Err("content_encoding_unsupported"));
        check(&["zstd"], b"{}", Err("content_encoding_unsupported"));
        check(&["gzip, gzip"], &gzip(&gzip(b"{}")), Err("content_encoding_unsupported"));
        check(&["gzip", "gzip"], &gzip(&gzip(b"{}")), Err("content_encoding_unsupported"));
    }
}
