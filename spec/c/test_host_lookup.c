/* host_lookup: lookups that hang, are shared, fail; what connects to Postgres and Redis by a name.
 * Needs PG_TEST_URL and REDIS_TEST_URL. */
#include "bindings/host_lookup.h"

#include <dlfcn.h>
#include <netdb.h>
#include <pthread.h>
#include <unistd.h>

#include "bindings/pg_connection.h"
#include "bindings/redis.h"
#include "files.h"
#include "proxy.h"
#include "test.h"

#define LONG_US 60000000LL
#define GIVE_UP_US 20000000LL /* a held lookup of a caller without a deadline */

static struct err err;

static int64_t after_us(int64_t us) {
    return clock_monotonic_us() + us;
}

/* ---- the name service ----------------------------------------------------------------------- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed;
static bool held; /* names that begin with "held" get no answer: each case has names of its own */
static _Atomic int lookups, waiting;

static void hold(bool wanted) {
    pthread_mutex_lock(&lock);
    held = wanted;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

static bool await_release(void) {
    int64_t until_us = after_us(GIVE_UP_US);
    waiting++;
    pthread_mutex_lock(&lock);
    while (held && clock_condition_wait(&changed, &lock, until_us) == 0) {
    }
    bool released = !held;
    pthread_mutex_unlock(&lock);
    waiting--;
    return released;
}

typedef int (*lookup_function)(const char *node, const char *service, const struct addrinfo *hints,
                               struct addrinfo **found);

/* Takes the place of the C library's, for libpq and hiredis, too. */
int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                struct addrinfo **found) {
    lookup_function next = (lookup_function)dlsym(RTLD_NEXT, "getaddrinfo");
    const char *end = node ? strstr(node, ".test") : NULL;
    if (!end || end[5] || (hints && hints->ai_flags & AI_NUMERICHOST)) {
        return next(node, service, hints, found);
    }
    lookups++;
    if (strncmp(node, "unknown", 7) == 0) {
        return EAI_NONAME;
    }
    if (strncmp(node, "held", 4) == 0 && !await_release()) {
        return EAI_AGAIN;
    }
    int failure =
        next(strcmp(node, "two.test") == 0 ? "127.9.9.9" : "127.0.0.1", service, hints, found);
    return failure == 0 && strcmp(node, "two.test") == 0
               ? next("127.0.0.1", service, hints, &(*found)->ai_next)
               : failure;
}

static void begin(bool holds) {
    static bool made;
    if (!made) {
        clock_condition_init(&changed);
        made = true;
    }
    err_clear(&err);
    lookups = 0;
    hold(holds);
}

/* `wanted`: the lookups of the case. Their threads have come so far before the next case counts. */
static void end(int wanted) {
    WAIT_UNTIL(lookups >= wanted);
    CHECK_INT(lookups, wanted);
    hold(false);
    WAIT_UNTIL(waiting == 0);
}

/* ---- lookups -------------------------------------------------------------------------------- */

/* The addresses of a host, separated by spaces; until the next call. */
static const char *addresses(const char *host) {
    static char text[256];
    struct host_addresses found;
    text[0] = '\0';
    err_clear(&err);
    CHECK_OK(host_lookup(host, after_us(LONG_US), &found, &err), &err);
    for (size_t i = 0; i < found.count; i++) {
        size_t len = strlen(text);
        snprintf(text + len, sizeof text - len, "%s%s", i ? " " : "", found.items[i]);
    }
    host_addresses_free(&found);
    return text;
}

static bool fails_within(const char *host, int64_t us) {
    struct host_addresses found;
    err_clear(&err);
    bool ok = host_lookup(host, after_us(us), &found, &err);
    host_addresses_free(&found);
    return !ok && strstr(err.text, host);
}

static bool fails_soon(const char *host) {
    return fails_within(host, 20000);
}

static void a_number_is_not_looked_up(void) {
    begin(false);
    CHECK_TEXT(addresses("127.0.0.1"), "127.0.0.1");
    CHECK_TEXT(addresses("::1"), "::1");
    end(0);
}

static void a_name_has_its_addresses_in_order(void) {
    begin(false);
    CHECK_TEXT(addresses("one.test"), "127.0.0.1");
    CHECK_TEXT(addresses("two.test"), "127.9.9.9 127.0.0.1");
    end(2);
}

static void a_name_that_nobody_knows_is_an_error_with_its_name(void) {
    begin(false);
    CHECK(fails_within("unknown.test", LONG_US));
    CHECK_INT(err.kind, ERR_UNAVAILABLE);
    CHECK_HAS(err.text, "not known");
    end(1);
}

static void a_caller_leaves_at_its_deadline(void) {
    begin(true);
    CHECK(fails_soon("held-1.test"));
    CHECK_INT(err.kind, ERR_TIMEOUT);
    CHECK_HAS(err.text, "did not answer in time");
    end(1);
}

static void later_callers_share_the_lookup_that_hangs(void) {
    begin(true);
    CHECK(fails_soon("held-2.test"));
    CHECK(fails_soon("held-2.test"));
    CHECK(fails_soon("held-3.test"));
    end(2);
}

/* resolv.conf may have changed since it began. */
static void an_old_lookup_gets_a_younger_one_beside_it(void) {
    begin(true);
    WAIT_UNTIL(fails_soon("held-11.test") && lookups == 2);
    end(2);
}

static void *look_up(void *context) {
    struct host_addresses found;
    struct err reason = {0};
    CHECK_OK(host_lookup("held-4.test", after_us(LONG_US), &found, &reason), &reason);
    *(size_t *)context = found.count;
    host_addresses_free(&found);
    return NULL;
}

static void all_that_wait_get_the_answer(void) {
    pthread_t threads[4];
    size_t counts[4] = {0};
    begin(true);
    for (int i = 0; i < 4; i++) {
        pthread_create(&threads[i], NULL, look_up, &counts[i]);
    }
    WAIT_UNTIL(waiting > 0);
    hold(false);
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        CHECK_INT(counts[i], 1);
    }
    WAIT_UNTIL(waiting == 0);
}

static void lookups_that_hang_are_bounded(void) {
    char name[40];
    begin(true);
    for (int i = 0; i < HOST_LOOKUPS_MOST; i++) {
        snprintf(name, sizeof name, "held-of-many-%d.test", i);
        CHECK(fails_soon(name));
    }
    CHECK(fails_soon("one.test"));
    CHECK_INT(err.kind, ERR_UNAVAILABLE);
    CHECK_HAS(err.text, "earlier lookups hang");
    CHECK(fails_soon(name)); /* joins the one of its name */
    CHECK_HAS(err.text, "did not answer in time");
    end(HOST_LOOKUPS_MOST);
    WAIT_UNTIL(!fails_within("one.test", LONG_US));
}

/* ---- Postgres ------------------------------------------------------------------------------- */

static int port(void) {
    return proxy_url_port(test_url("PG_TEST_URL"));
}

static struct pg *connecting(const char *url, int timeout_ms) {
    return pg_create(&(struct pg_options){.url = url,
                                          .application_name = "test_host_lookup",
                                          .connect_timeout_ms = timeout_ms,
                                          .statement_timeout_ms = 5000});
}

static void connects(const char *url, const char *name, const char *address) {
    struct pg *pg = connecting(url, 5000);
    CHECK_OK(pg_connect(pg, &err), &err);
    CHECK_TEXT(pg->conn ? PQhost(pg->conn) : NULL, name);
    CHECK_TEXT(pg->conn ? PQhostaddr(pg->conn) : NULL, address);
    pg_destroy(pg);
}

static void connect_hangs(const char *url, const char *name) {
    char wanted[160];
    struct pg *pg = connecting(url, 100);
    err_clear(&err);
    CHECK(!pg_connect(pg, &err));
    CHECK_INT(err.kind, ERR_UNAVAILABLE);
    snprintf(
        wanted, sizeof wanted,
        "cannot connect to Postgres: cannot look up the host name \"%s\": the name service did "
        "not answer in time",
        name);
    CHECK_HAS(err.text, wanted);
    pg_destroy(pg);
}

static const char *pg_url(const char *hosts, const char *rest) {
    static char url[256];
    snprintf(url, sizeof url, "postgresql://ras@%s/postgres?port=%d%s", hosts, port(), rest);
    return url;
}

static void a_connect_to_postgres_ends_at_its_deadline(void) {
    begin(true);
    connect_hangs(pg_url("held-5.test", ""), "held-5.test");
    struct pg *pg = connecting(pg_url("held-6.test", ""), 60000);
    err_clear(&err);
    CHECK(!pg_wake(pg, 100, &err));
    CHECK_HAS(err.text, "held-6.test");
    pg_destroy(pg);
    end(2);
}

static void libpq_gets_the_address_and_keeps_the_name(void) {
    begin(false);
    connects(pg_url("one.test", ""), "one.test", "127.0.0.1");
    connects(pg_url("one.test", "&hostaddr=127.0.0.1"), "one.test", "127.0.0.1");
    end(1);
}

static void each_address_of_a_name_is_tried(void) {
    struct proxy refusing;
    begin(false);
    proxy_start(&refusing, port());
    char url[128]; /* on 127.9.9.9 nobody listens */
    snprintf(url, sizeof url, "postgresql://ras@two.test:%d/postgres", refusing.port);
    connects(url, "two.test", "127.0.0.1");
    proxy_stop(&refusing);
    end(1);
}

static void a_name_that_hangs_does_not_hide_the_next_server(void) {
    begin(true);
    struct pg *pg = connecting(pg_url("held-7.test,127.0.0.1", ""), 2000);
    CHECK_OK(pg_connect(pg, &err), &err);
    CHECK_INT(err.kind, ERR_NONE);
    pg_disconnect(pg);
    CHECK_OK(pg_wake(pg, 5000, &err), &err); /* the last good one comes first: no lookup */
    pg_destroy(pg);
    end(1);
}

static void hosts_of_variables_and_services_are_looked_up_too(void) {
    char folder[] = "/tmp/test_host_lookup_XXXXXX", path[64], text[256], port_text[16];
    CHECK(mkdtemp(folder) != NULL);
    snprintf(path, sizeof path, "%s/services", folder);
    snprintf(text, sizeof text,
             "[slow]\nhost=held-8.test\nport=%d\n[good]\nhost=unknown.test,one.test\nport=%d\n",
             port(), port());
    write_path(path, text);
    snprintf(port_text, sizeof port_text, "%d", port());
    setenv("PGSERVICEFILE", path, 1);
    begin(true);
    connect_hangs("postgresql://ras@/postgres?service=slow", "held-8.test");
    connects("postgresql://ras@/postgres?service=good", "one.test", "127.0.0.1");
    setenv("PGHOST", "held-9.test", 1);
    setenv("PGPORT", port_text, 1);
    connect_hangs("postgresql://ras@/postgres", "held-9.test");
    setenv("PGHOST", "one.test", 1);
    connects("postgresql://ras@/postgres", "one.test", "127.0.0.1");
    unsetenv("PGHOST");
    unsetenv("PGPORT");
    unsetenv("PGSERVICEFILE");
    unlink(path);
    rmdir(folder);
    end(5);
}

/* ---- Redis ---------------------------------------------------------------------------------- */

static bool pings(const char *host, int redis_port, int timeout_ms) {
    char url[128];
    struct slice ping = slice_of("PING");
    snprintf(url, sizeof url, "redis://%s:%d", host, redis_port);
    err_clear(&err);
    struct redis *redis = redis_create(url, timeout_ms, &err);
    bool ok = redis && redis_append(redis, &ping, 1, &err) && redis_run(redis, NULL, NULL, &err);
    redis_destroy(redis);
    return ok;
}

static void a_connect_to_redis_ends_at_its_deadline(void) {
    begin(true);
    CHECK(!pings("held-10.test", 6379, 100));
    CHECK_INT(err.kind, ERR_UNAVAILABLE);
    CHECK_HAS(err.text, "cannot connect to Redis: cannot look up the host name \"held-10.test\"");
    end(1);
}

static void each_address_of_redis_is_tried(void) {
    struct proxy proxy;
    begin(false);
    proxy_start(&proxy, proxy_url_port(test_url("REDIS_TEST_URL")));
    CHECK_OK(pings("two.test", proxy.port, 5000), &err);
    CHECK_INT(err.kind, ERR_NONE);
    proxy_stop(&proxy);
    end(1);
}

static const struct test_case cases[] = {
    {"a number is not looked up", a_number_is_not_looked_up},
    {"a name has its addresses in order", a_name_has_its_addresses_in_order},
    {"a name that nobody knows is an error with its name",
     a_name_that_nobody_knows_is_an_error_with_its_name},
    {"a caller leaves at its deadline", a_caller_leaves_at_its_deadline},
    {"later callers share the lookup that hangs", later_callers_share_the_lookup_that_hangs},
    {"an old lookup gets a younger one beside it", an_old_lookup_gets_a_younger_one_beside_it},
    {"all that wait get the answer", all_that_wait_get_the_answer},
    {"lookups that hang are bounded", lookups_that_hang_are_bounded},
    {"a connect to Postgres ends at its deadline", a_connect_to_postgres_ends_at_its_deadline},
    {"libpq gets the address and keeps the name", libpq_gets_the_address_and_keeps_the_name},
    {"each address of a name is tried", each_address_of_a_name_is_tried},
    {"a name that hangs does not hide the next server",
     a_name_that_hangs_does_not_hide_the_next_server},
    {"hosts of variables and services are looked up, too",
     hosts_of_variables_and_services_are_looked_up_too},
    {"a connect to Redis ends at its deadline", a_connect_to_redis_ends_at_its_deadline},
    {"each address of Redis is tried", each_address_of_redis_is_tried},
};

TEST_MAIN(cases)
