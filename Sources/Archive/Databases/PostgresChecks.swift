import PostgreSQL
import System

/// Checks that a PostgreSQL database suits an archive, before anything is read, and makes missing tables.
struct PostgresChecks {
    /// The number of the lock under which the tables are made; the letters are "tgpa".
    private static let lock: Int64 = 0x7467_7061

    private let connection: PostgresConnection
    private let address: PostgresAddress

    init(_ connection: PostgresConnection, _ address: PostgresAddress) {
        (self.connection, self.address) = (connection, address)
    }

    /// Sets what all statements rely on.
    func prepareSession() throws {
        let encoding = connection.reported("server_encoding") ?? "unknown"
        guard encoding == "UTF8" else {
            throw refusal(
                "its encoding is \(encoding), which cannot hold all texts of Telegram: make one with ENCODING 'UTF8'")
        }
        try connection.execute(
            """
            SET jit = off; SET enable_hashjoin = off; SET enable_mergejoin = off;
            SET plan_cache_mode = force_generic_plan; SET temp_buffers = '16MB'; SET TimeZone = 'UTC';
            SET client_min_messages = error; SET idle_in_transaction_session_timeout = 0; SET statement_timeout = 0;
            SELECT set_config('lock_timeout', '10s', false) WHERE current_setting('lock_timeout') = '0';
            SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'
            """)
    }

    /// Returns the form in which the archive keeps messages; makes or upgrades the archive if `creates` says so.
    func open(wanted: RawForm?, creates: Bool) throws -> RawForm {
        if let facts = try known(wanted) {
            if facts.isOld, !creates { throw facts.refusal(in: "\(address)") }
            if facts.isOld { try upgrade(wanted) }
            return facts.rawForm
        }
        guard creates else {
            throw ArchiveError(missingIn: "\(address)")
        }
        try checkCanCreate()
        let form = wanted ?? .text
        return try connection.transaction {
            try connection.execute("SELECT pg_advisory_xact_lock(\(PostgresChecks.lock))")
            // Another process may have been faster.
            if let known = try known(wanted) { return known.rawForm }
            try checkAreFree(Schema.tables + ["messages_json"])
            for statement in Schema(dialect: .postgres, rawForm: form).statements { try connection.execute(statement) }
            try connection.execute(
                "INSERT INTO tgpipe_archive (version, raw) VALUES (\(Schema.version), '\(form.rawValue)')")
            return form
        }
    }

    /// Changes the tables of an older archive to their present form.
    private func upgrade(_ wanted: RawForm?) throws {
        try connection.transaction {
            try connection.execute("SELECT pg_advisory_xact_lock(\(PostgresChecks.lock))")
            // Another process may have been faster.
            guard let facts = try known(wanted), facts.isOld else { return }
            try checkOwnsTables(facts.version)
            try checkAreFree(Schema.tables(addedSince: facts.version))
            let schema = Schema(dialect: .postgres, rawForm: facts.rawForm)
            for statement in schema.upgrades(from: facts.version) { try connection.execute(statement) }
            try connection.execute("UPDATE tgpipe_archive SET version = \(Schema.version)")
        }
    }

    private func checkOwnsTables(_ version: Int64) throws {
        var owner: String?
        try connection.run(
            "SELECT pg_get_userbyid(relowner) FROM pg_class WHERE oid = to_regclass('chats') "
                + "AND NOT pg_has_role(relowner, 'USAGE')"
        ) { owner = $0.text(0) }
        guard let owner else { return }
        throw refusal(
            "its tables are of version \(version), and only their owner can upgrade them: run 'msg-store load' once as "
                + "\(owner.printable); its input may be empty")
    }

    private func known(_ wanted: RawForm?) throws -> ArchiveFacts? {
        guard try exists("tgpipe_archive") else { return nil }
        var facts: (version: Int64, raw: String)?
        try connection.run("SELECT version, raw FROM tgpipe_archive") { facts = ($0.integer(0), $0.text(1)) }
        return try ArchiveFacts(version: facts?.version, raw: facts?.raw, wanted: wanted, place: "\(address)")
    }

    private func exists(_ table: String) throws -> Bool {
        var isThere = false
        try connection.run("SELECT to_regclass($1) IS NOT NULL", [.text(table)]) { isThere = $0.text(0) == "t" }
        return isThere
    }

    private func checkAreFree(_ tables: [String]) throws {
        guard let first = try tables.first(where: { try exists($0) }) else { return }
        throw refusal(
            "the table \(first) is another program's: use a database of its own, or a schema "
                + "(…?options=-csearch_path%3Dtelegram)")
    }

    private func checkCanCreate() throws {
        var (schema, canCreate): (String?, Bool) = (nil, false)
        try connection.run(
            "SELECT current_schema(), has_schema_privilege(current_schema(), 'CREATE')"
        ) { row in
            schema = row.isNull(0) ? nil : row.text(0)
            canCreate = row.text(1) == "t"
        }
        guard let schema else { throw refusal("the schema in its search_path does not exist") }
        guard canCreate else {
            throw refusal("the user may not make tables: GRANT CREATE ON SCHEMA \(schema) TO …")
        }
    }

    /// Checks the rights that storing needs.
    func requireRights() throws {
        var missing: [String] = []
        for table in Schema.tables {
            try connection.run(
                "SELECT p FROM unnest(ARRAY['SELECT','INSERT','UPDATE','DELETE']) p WHERE NOT has_table_privilege($1, p)",
                [.text(table)]
            ) { missing.append("\($0.text(0)) on \(table)") }
        }
        try connection.run(
            "SELECT 1 WHERE NOT has_database_privilege(current_database(), 'TEMP')"
        ) { _ in missing.append("TEMPORARY on the database") }
        guard missing.isEmpty else { throw refusal("the user lacks rights: \(missing.joined(separator: ", "))") }
    }

    /// Returns whether the rows of messages that this user may write are limited.
    func hasRowPolicies() throws -> Bool {
        var isLimited = false
        try connection.run("SELECT row_security_active('messages')") { isLimited = $0.text(0) == "t" }
        return isLimited
    }

    /// Returns the error of an archive that the server does not let this user use, or whose tables somebody has changed.
    func refusal(of error: PostgresError) -> ArchiveError {
        let isForbidden = error.state == "42501"
        return refusal(
            isForbidden
                ? "\(error.message): let the owner of its tables GRANT the rights on all of them" : error.message)
    }

    private func refusal(_ reason: String) -> ArchiveError {
        ArchiveError(.configuration, "\(address) cannot be used: \(reason)")
    }
}

/// Holds what an archive says about itself.
struct ArchiveFacts {
    let version: Int64
    let rawForm: RawForm

    /// Is true for an archive that must be upgraded first.
    var isOld: Bool { version < Schema.version }

    /// - Throws: `ArchiveError` (78) for an archive that this program cannot use.
    init(version: Int64?, raw: String?, wanted: RawForm?, place: String) throws(ArchiveError) {
        guard let version, let raw else {
            throw ArchiveError(.configuration, "\(place): the table tgpipe_archive is empty, so its version is unknown")
        }
        guard version <= Schema.version, let form = RawForm(rawValue: raw) else {
            throw ArchiveError(
                .configuration,
                "\(place) has an archive of version \(version), but this program knows versions up to "
                    + "\(Schema.version): install a newer tgpipe")
        }
        guard version >= 1 else {
            throw ArchiveError(.configuration, "\(place) has an archive of version \(version), which never existed")
        }
        guard wanted == nil || wanted == form else {
            throw ArchiveError(
                .configuration,
                "\(place) keeps messages as --raw \(form.rawValue), which was chosen when it was made: leave --raw out")
        }
        (self.version, rawForm) = (version, form)
    }

    /// Returns the error of a command that only reads, and so does not upgrade the tables.
    func refusal(in place: String) -> ArchiveError {
        ArchiveError(
            .configuration,
            "\(place) has an archive of version \(version), which 'msg-store load' upgrades to version "
                + "\(Schema.version): run it once; its input may be empty")
    }
}
