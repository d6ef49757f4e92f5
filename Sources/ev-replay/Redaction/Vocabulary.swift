import Envelope
import JSON
import Payloads

/// Lists what a redacted recording keeps: words of the events' schemas, and numbers that tell nothing about people.
enum Vocabulary {
    /// The values that are kept under any key for which the schemas have a list of words.
    static let words: Set<String> = {
        var words: Set<String> = [
            // Kinds of files, chats, entities, reactions and members.
            "video", "audio", "photo", "document", "animation", "voice", "video_note", "sticker", "private", "group",
            "supergroup", "channel", "sender", "bold", "italic", "underline", "strikethrough", "spoiler", "code", "pre",
            "url",
            "text_link", "text_mention", "mention", "hashtag", "cashtag", "bot_command", "email", "phone_number",
            "blockquote",
            "expandable_blockquote", "custom_emoji", "emoji", "paid", "user", "hidden_user", "chat",
            // States of requests, roles and rules of access, markup.
            "accepted", "choosing", "queued", "waiting", "downloading", "converting", "storing", "uploading", "admin",
            "blessed",
            "graced",
            "grace", "bless", "smite", "hammer", "HTML", "Markdown", "MarkdownV2", "deliver",
            // Codes of failures and dead letters.
            "not_json", "not_utf8", "too_deep", "too_long", "not_an_object", "duplicate_key", "missing_type",
            "invalid_type",
            "missing_correlation_id", "invalid_correlation_id", "invalid_field", "unknown_type", "invalid_payload",
            "damaged",
            "access_denied", "refused", "failed", "attempts_used_up", "worker_died", "invalid_url", "refused_address",
            "unreachable", "timed_out", "truncated", "not_found", "forbidden", "login_required", "age_restricted",
            "geo_blocked", "drm", "live", "playlist", "unsupported", "rate_limited", "server_error", "too_large",
            "no_media", "over_age_limit", "account_page",
            "no_audio", "no_space", "local_io", "no_such_bucket", "busy", "protocol_error", "corrupt", "invalid",
            "configuration",
            "cancelled", "over_quota", "no_subtitles", "no_such_part", "no_sender", "hammered", "smitten", "bot",
            "stranger",
            // Kinds of media that are no member of a message, and what is done with cookies.
            "image", "list", "store", "forget",
            // Formats of sound.
            "mp3", "m4a", "opus",
            // Tools.
            "tg-listen", "tg-gate", "tg-talk", "tg-send", "tg-history", "ratelimit", "ev-route", "ev-queue",
            "ev-replay",
            "media-ask", "media-expand", "media-turns", "tg-watch", "media-fetch", "media-split",
            "blob-put", "msg-store",
        ]
        words.formUnion(TelegramAction.allCases.map(\.rawValue))
        return words
    }()

    /// The keys whose values are words of `words`.
    static let wordKeys: Set<String> = [
        "type", "chat_type", "kind", "audio_format", "state", "action", "role", "rule", "code", "tool", "parse_mode",
        "status",
    ]

    static let contentTypes: Set<String> = [
        "video/mp4", "video/quicktime", "video/webm", "video/x-matroska", "audio/mpeg", "audio/mp4", "audio/ogg",
        "audio/x-wav",
        "audio/flac", "image/jpeg", "image/png", "image/webp", "image/gif", "text/plain", "text/html",
        "application/pdf",
        "application/zip", "application/json", "application/octet-stream",
    ]

    static let fileExtensions: Set<String> = [
        "mp4", "mov", "webm", "mkv", "mp3", "m4a", "ogg", "opus", "wav", "flac", "jpg", "jpeg", "png", "webp", "gif",
        "txt", "pdf",
        "zip", "json", "bin",
    ]

    /// The commands of the bot, which are kept as the first word of a text.
    static let commands: Set<String> = [
        ".vdl", ".adl", ".img", "/vdl", "/adl", "/img", ".cookies", "/start", "/help", "/lang", "/ask", "/prefer",
        ".prefer", ".stop", "/stop",
        "/queue", "/usage",
        ".grace", ".ungrace",
        ".bless", ".unbless",
        ".smite",
        ".unsmite",
        ".hammer", ".unhammer",
    ]

    /// The keys of numbers that are kept: sizes, times, counts, and the ids of messages.
    static let numberKeys: Set<String> = [
        "version", "update_id", "message_id", "message_ids", "message_thread_id", "thread_id", "reply_to", "from_id",
        "to_id",
        "newest_id", "post_id", "migrated_from_max_id", "forward_from_message_id", "date", "edit_date", "forward_date",
        "scheduled_at", "start_seconds", "end_seconds", "offset", "length", "width", "height", "duration",
        "duration_seconds", "file_size",
        "size_bytes",
        "limit_bytes", "done_bytes", "total_bytes", "rate_bytes_per_second", "fraction", "limit", "window_seconds",
        "retry_after_seconds", "elapsed_seconds", "seconds", "place", "wait_seconds", "views", "forwards", "replies",
        "total_count", "count",
        "item", "first", "part", "parts", "total", "last",
        "pts", "attempts", "code",
    ]
}
