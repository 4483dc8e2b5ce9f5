<?php
require __DIR__ . '/inbox.php';
require __DIR__ . '/signature.php';

const BODY_BYTES_MAX = 1 << 20;

// The raw body; of one that is longer the signature is wrong.
$rawPayload = file_get_contents('php://input', length: BODY_BYTES_MAX);

if (!is_authentic($rawPayload)) {
    answer(401, ['error' => 'the signature is wrong or too old']);
    exit;
}
// Processed asynchronously: see processWebhook
$isNew = store($rawPayload);
answer(200, ['status' => $isNew ? 'received' : 'repeat']);
finish_answer();
process_due(processWebhook(...));

// Runs after the answer; your work goes here.
function processWebhook(string $id, string $body): void
{
    $payload = json_decode($body, true, flags: JSON_THROW_ON_ERROR);
    $fields = is_array($payload) ? $payload : [];
    log_line('received ' . ($fields['type'] ?? $fields['event'] ?? '?') . " $id");
}

function answer(int $status, array $content): void
{
    $json = json_encode($content);
    http_response_code($status);
    header('Content-Type: application/json');
    header('Content-Length: ' . strlen($json));
    echo $json;
}

// The sender has the answer when this returns.
function finish_answer(): void
{
    ignore_user_abort(true);
    if (function_exists('fastcgi_finish_request')) {
        fastcgi_finish_request();
        return;
    }
    while (ob_get_level() > 0) {
        ob_end_flush();
    }
    flush();
}
