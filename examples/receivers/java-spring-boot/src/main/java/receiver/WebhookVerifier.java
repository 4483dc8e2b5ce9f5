package receiver;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.ByteArrayOutputStream;
import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.time.Duration;
import java.time.Instant;
import java.util.Base64;
import java.util.HexFormat;
import java.util.function.UnaryOperator;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;

/** Whether a delivery was signed with our secret. Needs nothing but the JDK. */
public final class WebhookVerifier {
    private static final Duration TOLERANCE = Duration.ofMinutes(5);
    private static final String STANDARD = "standard";
    private static final String SECRET_PREFIX = "whsec_";

    private final String scheme;
    private final SecretKeySpec key;

    /**
     * @param scheme "standard" is Standard Webhooks. Systems that sign nothing but the body are known by the header that
     *     they do it in: "x-webhook-signature", or "signature", whose secret is the webhook's id.
     */
    public WebhookVerifier(String secret, String scheme) {
        this.scheme = scheme;
        String encoded = secret.startsWith(SECRET_PREFIX) ? secret.substring(SECRET_PREFIX.length()) : secret;
        byte[] key = scheme.equals(STANDARD) ? Base64.getDecoder().decode(encoded) : secret.getBytes(UTF_8);
        this.key = new SecretKeySpec(key, "HmacSHA256");
    }

    /**
     * @param header gives a header's value, or null
     * @param body the bytes as they came: JSON that was parsed and written again is another text
     */
    public boolean isAuthentic(UnaryOperator<String> header, byte[] body, Instant now) {
        if (!scheme.equals(STANDARD)) {
            return isEqual(HexFormat.of().formatHex(hmac(body)), header.apply(scheme));
        }
        String id = header.apply("webhook-id");
        String timestamp = header.apply("webhook-timestamp");
        String signatures = header.apply("webhook-signature");
        if (id == null || signatures == null || !isRecent(timestamp, now)) {
            return false;
        }
        ByteArrayOutputStream signed = new ByteArrayOutputStream();
        signed.writeBytes((id + "." + timestamp + ".").getBytes(UTF_8));
        signed.writeBytes(body);
        String expected = "v1," + Base64.getEncoder().encodeToString(hmac(signed.toByteArray()));
        for (String signature : signatures.split(" ")) {
            if (isEqual(expected, signature)) {
                return true;
            }
        }
        return false;
    }

    private static boolean isRecent(String timestamp, Instant now) {
        // No more digits than fit a time that Instant knows.
        if (timestamp == null || !timestamp.matches("[0-9]{1,11}")) {
            return false;
        }
        Instant sent = Instant.ofEpochSecond(Long.parseLong(timestamp));
        return Duration.between(sent, now).abs().compareTo(TOLERANCE) <= 0;
    }

    /** Takes as long wherever the two differ. */
    private static boolean isEqual(String expected, String given) {
        return given != null && MessageDigest.isEqual(expected.getBytes(UTF_8), given.getBytes(UTF_8));
    }

    private byte[] hmac(byte[] text) {
        try {
            Mac mac = Mac.getInstance("HmacSHA256");
            mac.init(key);
            return mac.doFinal(text);
        } catch (GeneralSecurityException e) {
            throw new IllegalStateException("every Java platform has HmacSHA256", e);
        }
    }
}
