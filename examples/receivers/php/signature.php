<?php
// Whether a delivery was signed with our secret.

const TOLERANCE_SECONDS = 300;

// Over the bytes as they came: JSON that was parsed and written again is another text.
function is_authentic(string $body): bool
{
    $secret = getenv('WEBHOOK_SECRET') ?: throw new RuntimeException('WEBHOOK_SECRET is not set');
    // "standard" is Standard Webhooks. Systems that sign nothing but the body are known by the header that they do it
    // in: "x-webhook-signature", or "signature", whose secret is the webhook's id.
    $scheme = getenv('SIGNATURE') ?: 'standard';
    return $scheme === 'standard'
        ? verify_standard($body, $secret)
        : verify_webhook($body, request_header($scheme), $secret);
}

function verify_standard(string $body, string $secret): bool
{
    $key = base64_decode(preg_replace('/^whsec_/', '', $secret), true)
        ?: throw new RuntimeException('WEBHOOK_SECRET is not whsec_ and base64');
    $id = request_header('webhook-id');
    $timestamp = request_header('webhook-timestamp');
    if ($id === '' || !ctype_digit($timestamp) || abs(time() - (int) $timestamp) > TOLERANCE_SECONDS) {
        return false;
    }
    $expected = 'v1,' . base64_encode(hash_hmac('sha256', "$id.$timestamp.$body", $key, true));
    foreach (explode(' ', request_header('webhook-signature')) as $signature) {
        if (hash_equals($expected, $signature)) {
            return true;
        }
    }
    return false;
}

function verify_webhook(string $payload, string $signature, string $secret): bool
{
    return hash_equals(hash_hmac('sha256', $payload, $secret), $signature);
}

function request_header(string $name): string
{
    return $_SERVER['HTTP_' . strtoupper(strtr($name, '-', '_'))] ?? '';
}
