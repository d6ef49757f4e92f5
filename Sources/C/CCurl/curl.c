#define CURL_DISABLE_TYPECHECK 1
// Versions of libcurl differ in whether the first parameter of this function points to a constant.
#define curl_url_get declared_curl_url_get
#include <curl/curl.h>
#undef curl_url_get
#include <stdarg.h>

#include "CLoader.h"

#undef curl_easy_setopt
#undef curl_easy_getinfo
#undef curl_multi_setopt

#define CURL_FUNCTIONS(F) \
    F(CURL *, curl_easy_init, (void), ()) \
    F(void, curl_easy_cleanup, (CURL * easy), (easy)) \
    F(CURLcode, curl_easy_perform, (CURL * easy), (easy)) \
    F(void, curl_easy_reset, (CURL * easy), (easy)) \
    F(const char *, curl_easy_strerror, (CURLcode code), (code)) \
    F(void, curl_free, (void *memory), (memory)) \
    F(time_t, curl_getdate, (const char *text, const time_t *unused), (text, unused)) \
    F(CURLcode, curl_global_init, (long flags), (flags)) \
    F(CURLMcode, curl_multi_add_handle, (CURLM * multi, CURL *easy), (multi, easy)) \
    F(CURLMcode, curl_multi_remove_handle, (CURLM * multi, CURL *easy), (multi, easy)) \
    F(CURLMcode, curl_multi_cleanup, (CURLM * multi), (multi)) \
    F(CURLMsg *, curl_multi_info_read, (CURLM * multi, int *left), (multi, left)) \
    F(CURLM *, curl_multi_init, (void), ()) \
    F(CURLMcode, curl_multi_perform, (CURLM * multi, int *running), (multi, running)) \
    F(CURLMcode, curl_multi_poll, (CURLM * multi, struct curl_waitfd *extra, unsigned int count, int timeout, int *ready), \
      (multi, extra, count, timeout, ready)) \
    F(CURLMcode, curl_multi_wakeup, (CURLM * multi), (multi)) \
    F(struct curl_slist *, curl_slist_append, (struct curl_slist * list, const char *text), (list, text)) \
    F(void, curl_slist_free_all, (struct curl_slist * list), (list)) \
    F(CURLU *, curl_url, (void), ()) \
    F(void, curl_url_cleanup, (CURLU * url), (url)) \
    F(CURLUcode, curl_url_get, (CURLU * url, CURLUPart part, char **text, unsigned int flags), (url, part, text, flags)) \
    F(CURLUcode, curl_url_set, (CURLU * url, CURLUPart part, const char *text, unsigned int flags), (url, part, text, flags))

#define CURL_VARIADIC(F) \
    F(CURLcode, curl_easy_setopt, (CURL * easy, CURLoption option, ...), ) \
    F(CURLcode, curl_easy_getinfo, (CURL * easy, CURLINFO info, ...), ) \
    F(CURLMcode, curl_multi_setopt, (CURLM * multi, CURLMoption option, ...), )

TGP_LAZY_LIBRARY(CURL_FUNCTIONS, CURL_VARIADIC, "libcurl.so.4", "libcurl4")

// The number of an option tells the type of its value.

__attribute__((visibility("hidden"))) CURLcode curl_easy_setopt(CURL *easy, CURLoption option, ...) {
    pthread_once(&once, load);
    va_list values;
    va_start(values, option);
    CURLcode code;
    if (option < CURLOPTTYPE_OBJECTPOINT) {
        code = p_curl_easy_setopt(easy, option, va_arg(values, long));
    } else if (option >= CURLOPTTYPE_OFF_T && option < CURLOPTTYPE_BLOB) {
        code = p_curl_easy_setopt(easy, option, va_arg(values, curl_off_t));
    } else {
        code = p_curl_easy_setopt(easy, option, va_arg(values, void *));
    }
    va_end(values);
    return code;
}

__attribute__((visibility("hidden"))) CURLcode curl_easy_getinfo(CURL *easy, CURLINFO info, ...) {
    pthread_once(&once, load);
    va_list values;
    va_start(values, info);
    CURLcode code = p_curl_easy_getinfo(easy, info, va_arg(values, void *));
    va_end(values);
    return code;
}

__attribute__((visibility("hidden"))) CURLMcode curl_multi_setopt(CURLM *multi, CURLMoption option, ...) {
    pthread_once(&once, load);
    va_list values;
    va_start(values, option);
    CURLMcode code;
    if ((int)option < CURLOPTTYPE_OBJECTPOINT) {
        code = p_curl_multi_setopt(multi, option, va_arg(values, long));
    } else {
        code = p_curl_multi_setopt(multi, option, va_arg(values, void *));
    }
    va_end(values);
    return code;
}
