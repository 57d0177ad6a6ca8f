/* The administration socket and clients that do not behave. */
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "admin/socket.h"
#include "base/clock.h"
#include "test.h"

#define ANSWER_BYTES (4 * 1024 * 1024) /* more than any buffer of a socket */

static int answer_long(void *context, const struct admin_request *request, struct buffer *json) {
    (void)context;
    (void)request;
    buffer_append_text(json, "{\"text\":\"");
    for (size_t i = 0; i < ANSWER_BYTES / 32; i++) {
        buffer_append_text(json, "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
    }
    buffer_append_text(json, "\"}");
    return 200;
}

static int connect_to(const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    CHECK(connect(fd, (struct sockaddr *)&address, sizeof address) == 0);
    return fd;
}

static void a_client_that_does_not_read_holds_nothing_up(void) {
    static const struct admin_verb verbs[] = {
        {.name = "long", .method = "GET", .endpoint = "admin_long", .answer = answer_long}};
    char folder[] = "/tmp/test_admin_socket.XXXXXX", path[64], byte;
    struct err err = {0};
    struct buffer answer = {0};
    CHECK(mkdtemp(folder) != NULL);
    snprintf(path, sizeof path, "%s/s", folder);
    struct admin_socket_options options = {.path = path, .verbs = verbs, .verb_count = 1};
    struct admin_socket *admin = admin_socket_start(&options, &err);
    CHECK_OK(admin != NULL, &err);
    int fd = connect_to(path);
    CHECK(send(fd, "long\n", 5, 0) == 5);
    CHECK(recv(fd, &byte, 1, 0) == 1); /* it answers */
    CHECK_OK(admin_call(path, "long", 30000, &answer, &err), &err);
    CHECK(answer.len > ANSWER_BYTES);
    CHECK(admin_socket_stop(admin, clock_monotonic_us() + 30000000));
    close(fd);
    buffer_free(&answer);
    rmdir(folder);
}

static const struct test_case cases[] = {
    {"a client that does not read holds nothing up", a_client_that_does_not_read_holds_nothing_up},
};

TEST_MAIN(cases)
