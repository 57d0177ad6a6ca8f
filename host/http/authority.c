#include "authority.h"

#include <arpa/inet.h>

#include "base/hex.h"

#define MAX_PORT 65535

/* reg-name, which includes IPv4 addresses: unreserved, sub-delims and %XX. */
static bool authority_is_name(struct slice host) {
    for (size_t i = 0; i < host.len; i++) {
        char c = host.data[i];
        if (c == '%' && i + 2 < host.len && hex_byte(host.data + i + 1) >= 0) {
            i += 2;
        } else if (!(c >= '0' && c <= '9') && !((c | 0x20) >= 'a' && (c | 0x20) <= 'z') &&
                   !(c && strchr("-._~!$&'()*+,;=", c))) {
            return false;
        }
    }
    return host.len > 0;
}

static bool authority_is_ipv6(struct slice host) {
    char text[INET6_ADDRSTRLEN];
    struct in6_addr address;
    if (host.len >= sizeof text || memchr(host.data, '\0', host.len)) {
        return false;
    }
    memcpy(text, host.data, host.len);
    text[host.len] = '\0';
    return inet_pton(AF_INET6, text, &address) == 1;
}

/* Empty, or ":" and any number of digits. */
static bool authority_is_port(struct slice text) {
    unsigned long port = 0;
    for (size_t i = 1; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9') {
            return false;
        }
        port = port > MAX_PORT ? port : port * 10 + (unsigned long)(text.data[i] - '0');
    }
    return text.len == 0 || (text.data[0] == ':' && port <= MAX_PORT);
}

bool authority_is_valid(struct slice text) {
    bool bracketed = text.len > 0 && text.data[0] == '[';
    const char *end = text.len > 0 ? memchr(text.data, bracketed ? ']' : ':', text.len) : NULL;
    size_t len = end ? (size_t)(end - text.data) : text.len;
    if (!bracketed) {
        return authority_is_name((struct slice){text.data, len}) &&
               authority_is_port((struct slice){text.data + len, text.len - len});
    }
    return end && authority_is_ipv6((struct slice){text.data + 1, len - 1}) &&
           authority_is_port((struct slice){end + 1, text.len - len - 1});
}
