/* loop_mail: how other threads give connections to a loop: new ones, those with a finished
 * exchange, and those whose live readers have news. */
#include "loop.h"

#include <errno.h>
#include <unistd.h>

#include "base/log.h"
#include "connection.h"
#include "loop_private.h"

void loop_wake(struct loop *loop) {
    uint64_t one = 1;
    if (write(loop->wake_fd, &one, sizeof one) < 0 && errno != EAGAIN) {
        log_error("an HTTP loop cannot be woken", LOG_TEXT("error", strerror(errno)));
    }
}

void loop_post(struct loop *loop, struct connection *connection) {
    pthread_mutex_lock(&loop->lock);
    bool was_empty = loop->mail == NULL;
    connection->next_mail = NULL;
    *loop->mail_end = connection;
    loop->mail_end = &connection->next_mail;
    pthread_mutex_unlock(&loop->lock);
    if (was_empty) {
        loop_wake(loop);
    }
}

void loop_post_news(struct loop *loop, struct connection *connection) {
    pthread_mutex_lock(&loop->lock);
    bool was_empty = loop->news == NULL;
    if (!connection->has_news) {
        connection->has_news = true;
        connection->next_news = loop->news;
        connection->news_link = &loop->news;
        if (loop->news) {
            loop->news->news_link = &connection->next_news;
        }
        loop->news = connection;
    }
    pthread_mutex_unlock(&loop->lock);
    if (was_empty) {
        loop_wake(loop);
    }
}

static struct connection *loop_take_news(struct loop *loop) {
    pthread_mutex_lock(&loop->lock);
    struct connection *connection = loop->news;
    if (connection) {
        loop->news = connection->next_news;
        if (loop->news) {
            loop->news->news_link = &loop->news;
        }
        connection->has_news = false;
    }
    pthread_mutex_unlock(&loop->lock);
    return connection;
}

void loop_post_done(struct exchange *exchange) {
    loop_post(exchange->connection->loop, exchange->connection);
}

void loop_forget_news(struct loop *loop, struct connection *connection) {
    pthread_mutex_lock(&loop->lock);
    if (connection->has_news) {
        *connection->news_link = connection->next_news;
        if (connection->next_news) {
            connection->next_news->news_link = connection->news_link;
        }
        connection->has_news = false;
    }
    pthread_mutex_unlock(&loop->lock);
}

void loop_read_mail(struct loop *loop) {
    pthread_mutex_lock(&loop->lock);
    struct connection *connection = loop->mail;
    loop->mail = NULL;
    loop->mail_end = &loop->mail;
    pthread_mutex_unlock(&loop->lock);
    while (connection) {
        struct connection *next = connection->next_mail;
        if (connection->exchange) {
            connection_resume(connection);
        } else {
            loop_adopt(loop, connection);
        }
        connection = next;
    }
}

void loop_read_news(struct loop *loop) {
    for (struct connection *connection; (connection = loop_take_news(loop));) {
        connection_take_news(connection);
    }
}
