import System

/// The full-text index of an archive.
struct SearchIndex {
    /// PostgreSQL refuses to index more than a mebibyte of words; no message has a text that long.
    private static let mostCharacters = 100_000

    let dialect: SQLDialect

    private var vector: String { "to_tsvector('simple', left(text, \(SearchIndex.mostCharacters)))" }

    /// The statements that make the index, each outside of a transaction.
    var statements: [String] {
        switch dialect {
        case .postgres:
            // Without a lock, so that a load can go on meanwhile.
            return ["CREATE INDEX CONCURRENTLY IF NOT EXISTS messages_search ON messages USING gin (\(vector))"]
        case .sqlite:
            // The connection does not let triggers use virtual tables, so storing a row keeps the index up to date.
            return [
                "CREATE VIRTUAL TABLE messages_search USING fts5 (text)",
                "INSERT INTO messages_search (rowid, text) SELECT rowid, text FROM messages WHERE text IS NOT NULL",
            ]
        }
    }

    /// The statement of SQLite that brings the index up to date for the message with this key.
    static let refresh =
        "INSERT OR REPLACE INTO messages_search (rowid, text) SELECT rowid, text FROM messages "
        + "WHERE chat_id = ?1 AND message_id = ?2 AND owner_id = ?3 AND text IS NOT NULL"

    /// Returns the condition that a message has all words of a parameter.
    func condition(_ parameter: String) -> String {
        switch dialect {
        case .postgres:
            "to_tsvector('simple', left(m.text, \(SearchIndex.mostCharacters))) @@ plainto_tsquery('simple', \(parameter))"
        case .sqlite: "m.rowid IN (SELECT rowid FROM messages_search WHERE messages_search MATCH \(parameter))"
        }
    }
}

extension ArchiveReader {
    private var hasSearchIndex: Bool {
        get throws {
            switch database.dialect {
            case .postgres:
                try database.first(
                    "SELECT 1 FROM pg_index WHERE indexrelid = to_regclass('messages_search') AND indisvalid", [],
                    { _ in 1 })
                    != nil
            case .sqlite:
                try database.first("SELECT 1 FROM sqlite_master WHERE name = 'messages_search'", [], { _ in 1 })
                    != nil
            }
        }
    }

    func requireSearchIndex() throws {
        guard try !hasSearchIndex else { return }
        throw ArchiveError(.configuration, "there is no full-text index: make it with msg-store index --search")
    }

    /// Makes the full-text index unless it exists.
    package func makeSearchIndex() throws {
        guard try !hasSearchIndex else { return }
        let statements = SearchIndex(dialect: database.dialect).statements
        switch database.dialect {
        case .postgres:
            // What an interrupted attempt has left is of no use.
            try database.execute("DROP INDEX IF EXISTS messages_search")
            for statement in statements { try database.execute(statement) }
        case .sqlite: try database.transaction { for statement in statements { try database.execute(statement) } }
        }
    }
}
