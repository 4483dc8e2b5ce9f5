package receiver;

import jakarta.servlet.http.HttpServletRequest;
import java.io.IOException;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.Instant;
import java.util.HexFormat;
import java.util.Map;
import org.springframework.beans.factory.annotation.Value;
import org.springframework.http.HttpStatus;
import org.springframework.http.ResponseEntity;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.RestController;

@RestController
public class WebhookController {
    private static final int BODY_BYTES_MAX = 1 << 20;

    private final WebhookVerifier verifier;
    private final Inbox inbox;

    public WebhookController(
            @Value("${webhook.secret}") String secret, @Value("${webhook.signature}") String scheme, Inbox inbox) {
        this.verifier = new WebhookVerifier(secret, scheme);
        this.inbox = inbox;
    }

    @PostMapping("/webhook")
    public ResponseEntity<Map<String, String>> handleWebhook(HttpServletRequest request)
            throws IOException, NoSuchAlgorithmException {
        // The raw body; of one that is longer the signature is wrong.
        byte[] payload = request.getInputStream().readNBytes(BODY_BYTES_MAX);
        if (!verifier.isAuthentic(request::getHeader, payload, Instant.now())) {
            return ResponseEntity.status(HttpStatus.UNAUTHORIZED)
                .body(Map.of("error", "the signature is wrong or too old"));
        }
        String id = request.getHeader("webhook-id");
        if (id == null) {
            // Senders without this header are known by the body, which is what they sign.
            id = HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(payload));
        }
        // Processed asynchronously: see WebhookService
        boolean isNew = inbox.store(id, payload, Instant.now());
        if (!isNew) {
            System.out.println("repeat " + id);
        }
        return ResponseEntity.ok(Map.of("status", isNew ? "received" : "repeat"));
    }
}
