#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "tls_private.h"

#define ALERTS 1000 /* SSL_AD_REASON_OFFSET: reasons above are alerts of the peer */

static const char *const names[TLS_FAILURES] = {
    [TLS_FAILURE_NONE] = "none",
    [TLS_FAILURE_PLAIN_HTTP] = "plain_http",
    [TLS_FAILURE_NOT_TLS] = "not_tls",
    [TLS_FAILURE_VERSION] = "version",
    [TLS_FAILURE_CIPHER] = "cipher",
    [TLS_FAILURE_NO_CERTIFICATE] = "no_certificate",
    [TLS_FAILURE_UNKNOWN_CA] = "unknown_ca",
    [TLS_FAILURE_EXPIRED] = "expired",
    [TLS_FAILURE_NAME] = "name",
    [TLS_FAILURE_CERTIFICATE] = "certificate",
    [TLS_FAILURE_ALERT] = "alert",
    [TLS_FAILURE_LOST] = "lost",
    [TLS_FAILURE_PROTOCOL] = "protocol",
};

const char *tls_failure_name(enum tls_failure failure) {
    return names[failure];
}

const char *tls_failure_text(char text[256]) {
    unsigned long code = ERR_get_error();
    const char *reason = ERR_reason_error_string(code);
    if (code == 0) {
        snprintf(text, 256, "no reason given");
    } else if (reason) {
        snprintf(text, 256, "%s", reason);
    } else {
        ERR_error_string_n(code, text, 256);
    }
    ERR_clear_error();
    return text;
}

/* ---- the peer's certificate ----------------------------------------------------------------- */

enum tls_failure tls_failure_of_verification(long result) {
    switch (result) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
    case X509_V_ERR_CERT_NOT_YET_VALID:
        return TLS_FAILURE_EXPIRED;
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_CERT_UNTRUSTED:
    case X509_V_ERR_CERT_SIGNATURE_FAILURE: /* a CA of the same name with another key */
        return TLS_FAILURE_UNKNOWN_CA;
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
    case X509_V_ERR_APPLICATION_VERIFICATION:
        return TLS_FAILURE_NAME;
    default:
        return TLS_FAILURE_CERTIFICATE;
    }
}

static void tls_failure_describe_name(const struct tls_session *session, struct err *err) {
    if (session->context->is_server) {
        err_set(err, ERR_INPUT,
                "the client's certificate is for %s, which is not one of the allowed names: add "
                "it to them, or give the client another certificate",
                session->refused);
    } else {
        err_set(err, ERR_INPUT,
                "the server's certificate is for %s, not for %s: connect to a name of the "
                "certificate, or have one issued for this name",
                session->refused, session->server_name);
    }
}

static void tls_failure_describe_certificate(struct tls_session *session, struct err *err) {
    long result = SSL_get_verify_result(session->ssl);
    const char *subject = session->refused;
    const char *side = session->context->is_server ? "client" : "server";
    const char *ca = session->context->ca;
    session->failure = tls_failure_of_verification(result);
    if (session->failure == TLS_FAILURE_NAME) {
        tls_failure_describe_name(session, err);
    } else if (session->failure == TLS_FAILURE_UNKNOWN_CA) {
        err_set(err, ERR_INPUT,
                "the %s's certificate (%s) is not signed by a CA of %s (%s): name the file with "
                "the CA that signed it, or have the %s send its intermediate certificates",
                side, subject, ca[0] ? ca : "this system", X509_verify_cert_error_string(result),
                side);
    } else if (session->failure == TLS_FAILURE_EXPIRED) {
        err_set(err, ERR_INPUT,
                "the %s's certificate (%s) or one of its CAs is not valid now (%s): renew it, and "
                "compare both clocks",
                side, subject, X509_verify_cert_error_string(result));
    } else {
        err_set(err, ERR_INPUT, "the %s's certificate (%s) is refused: %s", side, subject,
                X509_verify_cert_error_string(result));
    }
}

/* ---- the protocol ---------------------------------------------------------------------------- */

/* What a peer's alert says (RFC 8446 6.2) and what to do. */
static const struct {
    int alert;
    const char *text;
} alerts[] = {
    {SSL_AD_BAD_CERTIFICATE, "the peer refused this side's certificate as bad"},
    {SSL_AD_UNSUPPORTED_CERTIFICATE, "the peer does not support this side's certificate"},
    {SSL_AD_CERTIFICATE_REVOKED, "the peer refused this side's certificate as revoked: renew it"},
    {SSL_AD_CERTIFICATE_EXPIRED, "the peer refused this side's certificate as expired: renew it"},
    {SSL_AD_CERTIFICATE_UNKNOWN, "the peer refused this side's certificate"},
    {SSL_AD_UNKNOWN_CA,
     "the peer does not trust the CA of this side's certificate: give the peer the CA's "
     "certificate, and have this side send the intermediate ones"},
    {SSL_AD_ACCESS_DENIED, "the peer does not admit this side's certificate"},
    {SSL_AD_CERTIFICATE_REQUIRED,
     "the peer requires a certificate of this side: configure certificate and key"},
    {SSL_AD_PROTOCOL_VERSION, "the peer supports no TLS version that this side allows"},
    {SSL_AD_HANDSHAKE_FAILURE,
     "the peer refused the handshake: no cipher in common, or it does not admit this side's "
     "certificate"},
    {SSL_AD_NO_APPLICATION_PROTOCOL, "the peer does not speak this protocol (ALPN)"},
    {SSL_AD_UNRECOGNIZED_NAME, "the peer does not serve this name (SNI)"},
};

static void tls_failure_describe_alert(struct tls_session *session, int alert, struct err *err) {
    session->failure = alert == SSL_AD_PROTOCOL_VERSION ? TLS_FAILURE_VERSION : TLS_FAILURE_ALERT;
    for (size_t i = 0; i < sizeof alerts / sizeof *alerts; i++) {
        if (alerts[i].alert == alert) {
            err_set(err, ERR_INPUT, "%s", alerts[i].text);
            return;
        }
    }
    err_set(err, ERR_UNAVAILABLE, "the peer ended the session with the alert \"%s\"",
            SSL_alert_desc_string_long(alert));
}

static const struct {
    int reason;
    enum tls_failure failure;
    const char *text;
} reasons[] = {
    {SSL_R_HTTP_REQUEST, TLS_FAILURE_PLAIN_HTTP, "the client sent plain HTTP: use https://"},
    {SSL_R_HTTPS_PROXY_REQUEST, TLS_FAILURE_PLAIN_HTTP,
     "the client sent a plain CONNECT, as to a proxy: this is none"},
    {SSL_R_WRONG_VERSION_NUMBER, TLS_FAILURE_NOT_TLS,
     "the peer does not speak TLS on this port: use the port with TLS, or connect without it"},
    {SSL_R_PACKET_LENGTH_TOO_LONG, TLS_FAILURE_NOT_TLS, "the peer does not speak TLS"},
    {SSL_R_UNSUPPORTED_PROTOCOL, TLS_FAILURE_VERSION,
     "the peer supports no TLS version that this side allows (1.2 and 1.3)"},
    {SSL_R_VERSION_TOO_LOW, TLS_FAILURE_VERSION,
     "the peer supports no TLS version that this side allows (1.2 and 1.3)"},
    {SSL_R_INAPPROPRIATE_FALLBACK, TLS_FAILURE_VERSION, "the peer fell back to an older version"},
    {SSL_R_NO_SHARED_CIPHER, TLS_FAILURE_CIPHER, "no cipher in common with the peer"},
    {SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM, TLS_FAILURE_CIPHER,
     "no signature algorithm in common with the peer"},
    {SSL_R_NO_SUITABLE_KEY_SHARE, TLS_FAILURE_CIPHER, "no group in common with the peer"},
    {SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE, TLS_FAILURE_NO_CERTIFICATE,
     "the client sent no certificate: configure one in the client"},
    {SSL_R_NO_APPLICATION_PROTOCOL, TLS_FAILURE_PROTOCOL,
     "the peer offers other protocols only (ALPN)"},
};

static void tls_failure_describe_reason(struct tls_session *session, int reason, struct err *err) {
    char text[256];
    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++) {
        if (reasons[i].reason == reason) {
            session->failure = reasons[i].failure;
            err_set(err, ERR_UNAVAILABLE, "%s", reasons[i].text);
            return;
        }
    }
    session->failure = TLS_FAILURE_PROTOCOL;
    err_set(err, ERR_UNAVAILABLE, "TLS failed: %s", tls_failure_text(text));
}

static void tls_failure_describe_socket(struct tls_session *session, struct err *err) {
    session->failure = TLS_FAILURE_LOST;
    err_set(err, ERR_UNAVAILABLE, "the connection was lost: %s",
            session->socket_errno ? strerror(session->socket_errno) : "the peer closed it");
}

void tls_failure_explain(struct tls_session *session, int code, struct err *err) {
    unsigned long error = ERR_peek_error();
    int reason = ERR_GET_REASON(error);
    bool is_ssl = ERR_GET_LIB(error) == ERR_LIB_SSL;
    bool ended = code == SSL_ERROR_ZERO_RETURN || code == SSL_ERROR_SYSCALL;
    if (ended || session->socket_errno) {
        tls_failure_describe_socket(session, err);
    } else if (is_ssl && reason == SSL_R_CERTIFICATE_VERIFY_FAILED) {
        tls_failure_describe_certificate(session, err);
    } else if (is_ssl && reason > ALERTS) {
        tls_failure_describe_alert(session, reason - ALERTS, err);
    } else {
        tls_failure_describe_reason(session, is_ssl ? reason : 0, err);
    }
    ERR_clear_error();
}
