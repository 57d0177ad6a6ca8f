/* The administration socket: clients that do not behave, signals, parameters, descriptors, a
 * program that hangs. */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "admin/socket.h"
#include "base/clock.h"
#include "captured.h"
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

/* ---- the program's side at a path of its own ------------------------------------------------- */

struct place {
    char folder[32], path[64];
    struct admin_socket *admin;
};

static void open_place(struct place *place, const struct admin_verb *verb) {
    struct err err = {0};
    snprintf(place->folder, sizeof place->folder, "/tmp/test_admin_socket.XXXXXX");
    CHECK(mkdtemp(place->folder) != NULL);
    snprintf(place->path, sizeof place->path, "%s/s", place->folder);
    struct admin_socket_options options = {.path = place->path, .verbs = verb, .verb_count = 1};
    place->admin = admin_socket_start(&options, &err);
    CHECK_OK(place->admin != NULL, &err);
}

static void close_place(struct place *place) {
    CHECK(admin_socket_stop(place->admin, clock_monotonic_us() + 30000000));
    rmdir(place->folder);
}

static void a_client_that_does_not_read_holds_nothing_up(void) {
    static const struct admin_verb verb = {
        .name = "long", .method = "GET", .endpoint = "admin_long", .answer = answer_long};
    struct place place;
    char byte;
    struct err err = {0};
    struct buffer answer = {0};
    open_place(&place, &verb);
    int fd = connect_to(place.path);
    CHECK(send(fd, "long\n", 5, 0) == 5);
    CHECK(recv(fd, &byte, 1, 0) == 1); /* it answers */
    CHECK_OK(admin_call(place.path, "long", 30000, &answer, &err), &err);
    CHECK(answer.len > ANSWER_BYTES);
    close_place(&place);
    close(fd);
    buffer_free(&answer);
}

/* ---- signals --------------------------------------------------------------------------------- */

#define SIGNALS 100 /* the first ones may come before the wait */

static pthread_t caller;
static _Atomic int handled;

static void count_signal(int number) {
    (void)number;
    handled++;
}

static int answer_after_signals(void *context, const struct admin_request *request,
                                struct buffer *json) {
    (void)context;
    (void)request;
    for (int sent = 1; sent <= SIGNALS; sent++) {
        pthread_kill(caller, SIGUSR1);
        while (handled < sent) {
            sched_yield();
        }
    }
    buffer_append_text(json, "{\"done\":true}");
    return 200;
}

static void a_signal_that_a_command_handles_does_not_end_its_wait(void) {
    static const struct admin_verb verb = {.name = "signals",
                                           .method = "GET",
                                           .endpoint = "admin_signals",
                                           .answer = answer_after_signals};
    struct sigaction action = {.sa_handler = count_signal, .sa_flags = SA_RESTART};
    struct place place;
    struct err err = {0};
    struct buffer answer = {0};
    caller = pthread_self();
    sigaction(SIGUSR1, &action, NULL);
    open_place(&place, &verb);
    CHECK_OK(admin_call(place.path, "signals", 60000, &answer, &err), &err);
    CHECK(slice_equal(buffer_slice(&answer), slice_of("{\"done\":true}")));
    close_place(&place);
    buffer_free(&answer);
}

/* ---- parameters ------------------------------------------------------------------------------ */

static int count_calls(void *context, const struct admin_request *request, struct buffer *json) {
    static int calls;
    (void)context;
    (void)request;
    buffer_append_format(json, "{\"calls\":%d}", ++calls);
    return 200;
}

static void a_verb_without_parameters_refuses_them(void) {
    static const struct admin_verb verb = {
        .name = "change", .method = "POST", .endpoint = "admin_change", .answer = count_calls};
    struct place place;
    struct err err = {0};
    struct buffer answer = {0};
    open_place(&place, &verb);
    CHECK_OK(admin_call(place.path, "change generation=3", 30000, &answer, &err), &err);
    CHECK(slice_equal(buffer_slice(&answer), slice_of("{\"error\":\"" ADMIN_NO_QUERY "\"}")));
    buffer_clear(&answer);
    CHECK_OK(admin_call(place.path, "change 3", 30000, &answer, &err), &err);
    CHECK(slice_equal(buffer_slice(&answer), slice_of("{\"calls\":1}")));
    close_place(&place);
    buffer_free(&answer);
}

/* ---- descriptors ----------------------------------------------------------------------------- */

static bool has_said_so(void) {
    static bool said;
    said = said || strstr(captured_take(), "admin socket cannot accept clients");
    return said;
}

static void a_program_out_of_descriptors_says_so_and_answers_later(void) {
    static const struct admin_verb verb = {
        .name = "change", .method = "POST", .endpoint = "admin_change", .answer = count_calls};
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct rlimit before, none;
    struct place place;
    char byte;
    open_place(&place, &verb);
    captured_begin();
    snprintf(address.sun_path, sizeof address.sun_path, "%s", place.path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0), next = dup(fd);
    close(next);
    CHECK(getrlimit(RLIMIT_NOFILE, &before) == 0);
    none = (struct rlimit){(rlim_t)next, before.rlim_max};
    CHECK(setrlimit(RLIMIT_NOFILE, &none) == 0);
    CHECK(connect(fd, (struct sockaddr *)&address, sizeof address) == 0);
    WAIT_UNTIL(has_said_so());
    CHECK(setrlimit(RLIMIT_NOFILE, &before) == 0);
    captured_end();
    CHECK(send(fd, "change\n", 7, 0) == 7);
    CHECK(recv(fd, &byte, 1, 0) == 1 && byte == '{');
    close(fd);
    close_place(&place);
}

static void a_file_at_the_path_is_named_and_stays(void) {
    char path[] = "/tmp/test_admin_socket.XXXXXX";
    struct err err = {0};
    int fd = mkstemp(path);
    CHECK(fd >= 0);
    CHECK(!admin_socket_start(&(struct admin_socket_options){.path = path}, &err));
    CHECK_HAS(err.text, path);
    CHECK_HAS(err.text, "is there already and no socket: remove it, or set ADMIN_SOCKET");
    CHECK(access(path, F_OK) == 0);
    close(fd);
    unlink(path);
}

/* ---- a program that hangs -------------------------------------------------------------------- */

#define GIVEN_UP_S 60 /* SIGALRM ends a test that waits for ever */

static void a_program_that_takes_no_client_is_not_waited_for_and_keeps_its_socket(void) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct err late = {0}, used = {0};
    struct buffer answer = {0};
    char folder[] = "/tmp/test_admin_socket.XXXXXX";
    CHECK(mkdtemp(folder) != NULL);
    snprintf(address.sun_path, sizeof address.sun_path, "%s/s", folder);
    int listener = socket(AF_UNIX, SOCK_STREAM, 0), waiting = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK(bind(listener, (struct sockaddr *)&address, sizeof address) == 0);
    CHECK(listen(listener, 0) == 0);
    CHECK(connect(waiting, (struct sockaddr *)&address, sizeof address) == 0); /* its queue */
    alarm(GIVEN_UP_S);
    CHECK(!admin_call(address.sun_path, "status", 100, &answer, &late));
    CHECK_INT(late.kind, ERR_TIMEOUT);
    struct admin_socket_options options = {.path = address.sun_path};
    CHECK(!admin_socket_start(&options, &used));
    CHECK_HAS(used.text, "is in use by another process");
    alarm(0);
    CHECK(access(address.sun_path, F_OK) == 0);
    close(waiting);
    close(listener);
    unlink(address.sun_path);
    rmdir(folder);
}

static const struct test_case cases[] = {
    {"a client that does not read holds nothing up", a_client_that_does_not_read_holds_nothing_up},
    {"a signal that a command handles does not end its wait",
     a_signal_that_a_command_handles_does_not_end_its_wait},
    {"a verb without parameters refuses them", a_verb_without_parameters_refuses_them},
    {"a program out of descriptors says so and answers later",
     a_program_out_of_descriptors_says_so_and_answers_later},
    {"a file at the path is named and stays", a_file_at_the_path_is_named_and_stays},
    {"a program that takes no client is not waited for and keeps its socket",
     a_program_that_takes_no_client_is_not_waited_for_and_keeps_its_socket},
};

TEST_MAIN(cases)
