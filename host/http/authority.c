#include "authority.h"

#include <arpa/inet.h>

#include "base/hex.h"

#define MAX_PORT 65535

static bool authority_is_ascii_alnum(char c) {
    return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
}

/* unreserved / sub-delims */
static bool authority_is_name_char(char c) {
    return authority_is_ascii_alnum(c) || (c && strchr("-._~!$&'()*+,;=", c));
}

/* reg-name; an IPv4 address is one, too. */
static bool authority_is_name(struct slice host) {
    for (size_t i = 0; i < host.len; i++) {
        if (host.data[i] == '%') {
            if (i + 2 >= host.len || hex_byte(host.data + i + 1) < 0) {
                return false;
            }
            i += 2;
        } else if (!authority_is_name_char(host.data[i])) {
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

/* "v1.x": the form of addresses that there are not yet. */
static bool authority_is_future_address(struct slice host) {
    size_t at = 1;
    if (host.len < 4 || (host.data[0] | 0x20) != 'v') {
        return false;
    }
    while (at < host.len && hex_digit(host.data[at]) >= 0) {
        at++;
    }
    if (at == 1 || at + 1 >= host.len || host.data[at] != '.') {
        return false;
    }
    for (at++; at < host.len; at++) {
        if (!authority_is_name_char(host.data[at]) && host.data[at] != ':') {
            return false;
        }
    }
    return true;
}

/* Empty, or ":" and digits, maybe none. */
static bool authority_is_port(struct slice text) {
    unsigned long port = 0;
    if (text.len == 0) {
        return true;
    }
    for (size_t i = 1; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9') {
            return false;
        }
        port = port > MAX_PORT ? port : port * 10 + (unsigned long)(text.data[i] - '0');
    }
    return text.data[0] == ':' && port <= MAX_PORT;
}

bool authority_is_valid(struct slice text) {
    bool bracketed = text.len > 0 && text.data[0] == '[';
    const char *end = text.len > 0 ? memchr(text.data, bracketed ? ']' : ':', text.len) : NULL;
    if (!bracketed) {
        size_t len = end ? (size_t)(end - text.data) : text.len;
        return authority_is_name((struct slice){text.data, len}) &&
               authority_is_port((struct slice){text.data + len, text.len - len});
    }
    if (!end) {
        return false;
    }
    struct slice address = {text.data + 1, (size_t)(end - text.data) - 1};
    return (authority_is_ipv6(address) || authority_is_future_address(address)) &&
           authority_is_port((struct slice){end + 1, text.len - address.len - 2});
}
