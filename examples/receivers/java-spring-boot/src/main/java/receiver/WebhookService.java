package receiver;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.time.Instant;
import java.util.Optional;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.scheduling.annotation.Scheduled;
import org.springframework.stereotype.Service;

@Service
public class WebhookService {
    private static final Logger logger = LoggerFactory.getLogger(WebhookService.class);

    private final Inbox inbox;
    private final ObjectMapper json;

    public WebhookService(Inbox inbox, ObjectMapper json) {
        this.inbox = inbox;
        this.json = json;
    }

    @Scheduled(fixedDelay = 500)
    void processDue() {
        Optional<Inbox.Event> claimed;
        while ((claimed = inbox.claim(Instant.now())).isPresent()) {
            Inbox.Event event = claimed.get();
            try {
                processWebhook(event.id(), event.body());
                inbox.finish(event);
            } catch (Exception e) {
                logger.error("Webhook processing error: " + event.id(), e);
            }
        }
        inbox.forgetOld(Instant.now());
    }

    /** Runs after the answer, in another thread; your work goes here. */
    private void processWebhook(String id, byte[] body) throws IOException {
        JsonNode payload = json.readTree(body);
        String type = payload.path("type").asText(payload.path("event").asText("?"));
        System.out.println("received " + type + " " + id);
    }
}
