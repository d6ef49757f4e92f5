/// Describes the tables of an archive.
struct Schema {
    let dialect: SQLDialect
    let rawForm: RawForm

    /// The tables that would collide with those of another program.
    static let tables = [
        "messages", "chats", "users", "topics", "versions", "counters", "ranges", "holes", "deletions", "failures",
        "dictionaries", "losses", "media", "media_uses",
    ]

    private var rawType: String {
        switch rawForm {
        case .text: dialect.textType
        case .jsonb: dialect == .postgres ? "jsonb" : "TEXT"
        case .zstd: dialect.blobType
        case .none: ""
        }
    }

    /// The statements that make the tables, in order: those of the first version, and what was changed since.
    var statements: [String] {
        [tgpipeArchive, messages] + indexes + others + [view] + upgrades(from: 1)
    }

    private var tgpipeArchive: String {
        """
        CREATE TABLE tgpipe_archive (version \(dialect.integerType) NOT NULL, raw \(dialect.textType) NOT NULL)
        """
    }

    private var messages: String {
        let (int, time, text) = (dialect.integerType, dialect.timeType, dialect.textType)
        let raw = rawForm == .none ? "" : "raw \(rawType), "
        return """
            CREATE TABLE messages (chat_id \(int) NOT NULL, message_id \(int) NOT NULL, owner_id \(int) NOT NULL, \
            date \(time), edit_date \(time), deleted_at \(time), seen_at \(time), counted_at \(time), pts \(int), \
            account_id \(int), sender_id \(int), reply_to_id \(int), topic_id \(int), album_id \(int), \
            forward_from_id \(int), forward_message_id \(int), forward_date \(time), views \(int), forwards \(int), \
            replies \(int), text \(text), forward_name \(text), service \(text), media \(text), \
            file_unique_id \(text), reactions \(jsonType), \(raw)PRIMARY KEY (chat_id, message_id, owner_id))
            """
    }

    private var jsonType: String { dialect == .postgres ? "jsonb" : "TEXT" }

    private var indexes: [String] {
        // Deletions in private chats and basic groups do not name the chat.
        let owner = "CREATE INDEX messages_owner ON messages (owner_id, message_id) WHERE owner_id <> 0"
        // A block range index costs next to nothing; SQLite has none, and a tree would take a quarter of the speed.
        return dialect == .postgres ? [owner, "CREATE INDEX messages_date ON messages USING brin (date)"] : [owner]
    }

    private var others: [String] {
        let (int, time, text) = (dialect.integerType, dialect.timeType, dialect.textType)
        return [
            """
            CREATE TABLE chats (chat_id \(int) NOT NULL, owner_id \(int) NOT NULL, type \(text), title \(text), \
            username \(text), linked_chat_id \(int), migrated_from_chat_id \(int), migrated_from_max_id \(int), \
            newest_id \(int), total \(int), seen_at \(time) NOT NULL, PRIMARY KEY (chat_id, owner_id))
            """,
            """
            CREATE TABLE users (user_id \(int) PRIMARY KEY, is_bot \(dialect.booleanType) NOT NULL, \
            first_name \(text), last_name \(text), username \(text), seen_at \(time) NOT NULL)
            """,
            """
            CREATE TABLE topics (chat_id \(int) NOT NULL, owner_id \(int) NOT NULL, topic_id \(int) NOT NULL, \
            name \(text), is_closed \(dialect.booleanType), named_at \(time), closed_at \(time), \
            PRIMARY KEY (chat_id, owner_id, topic_id))
            """,
            """
            CREATE TABLE versions (chat_id \(int) NOT NULL, message_id \(int) NOT NULL, owner_id \(int) NOT NULL, \
            edited_at \(time) NOT NULL, text \(text) NOT NULL, PRIMARY KEY (chat_id, message_id, owner_id, edited_at))
            """,
            """
            CREATE TABLE counters (chat_id \(int) NOT NULL, message_id \(int) NOT NULL, owner_id \(int) NOT NULL, \
            counted_at \(time) NOT NULL, views \(int), forwards \(int), replies \(int), reactions \(jsonType), \
            PRIMARY KEY (chat_id, message_id, owner_id, counted_at))
            """,
            """
            CREATE TABLE ranges (chat_id \(int) NOT NULL, owner_id \(int) NOT NULL, from_id \(int) NOT NULL, \
            to_id \(int) NOT NULL, count \(int) NOT NULL, checksum \(text) NOT NULL, \
            PRIMARY KEY (chat_id, owner_id, to_id))
            """,
            """
            CREATE TABLE holes (chat_id \(int) NOT NULL, owner_id \(int) NOT NULL, from_id \(int) NOT NULL, \
            to_id \(int), reason \(text) NOT NULL, told_at \(time) NOT NULL, \
            PRIMARY KEY (chat_id, owner_id, from_id))
            """,
            """
            CREATE TABLE deletions (owner_id \(int) NOT NULL, message_id \(int) NOT NULL, deleted_at \(time) NOT NULL, \
            PRIMARY KEY (owner_id, message_id))
            """,
            """
            CREATE TABLE failures (id \(text) PRIMARY KEY, chat_id \(int) NOT NULL, message_id \(int) NOT NULL, \
            owner_id \(int) NOT NULL, line \(dialect.blobType) NOT NULL, reason \(text) NOT NULL, \
            failed_at \(time) NOT NULL)
            """,
            "CREATE TABLE dictionaries (id \(int) PRIMARY KEY, bytes \(dialect.blobType) NOT NULL)",
        ]
    }

    private var view: String {
        let raw =
            switch rawForm {
            case .none: "NULL"
            case .zstd: "NULL"
            case .text, .jsonb: dialect == .postgres ? "raw::jsonb" : "json(raw)"
            }
        let date = dialect == .postgres ? "date" : "datetime(date, 'unixepoch')"
        return """
            CREATE VIEW messages_json AS SELECT chat_id, message_id, owner_id, \(date) AS date, sender_id, text, \
            \(raw) AS raw FROM messages
            """
    }
}
