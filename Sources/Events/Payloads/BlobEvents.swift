package import JSON

/// Reports that `blob-put --file` stored a file, or found it in the store: `events.blob.stored`.
package struct BlobStored: EventPayload {
    package static let type = "events.blob.stored"
    package static let types = [type]

    /// The store that has the object, such as `s3://bucket` or `file:/path`.
    package var store: String
    package var key: String
    /// A presigned GET URL, if the store can make one.
    package var url: String?
    /// The path of the object, if the store is a folder.
    package var path: String?
    /// RFC 3339, kept as it was written.
    package var urlExpiresAt: String?
    package var content: FileContent
    /// Is true if the object was already in the store, so that nothing was uploaded.
    package var existed: Bool

    package init(
        store: String, key: String, url: String?, urlExpiresAt: Timestamp?, path: String? = nil, content: FileContent,
        existed: Bool
    ) {
        (self.store, self.key, self.url, self.content, self.existed) = (store, key, url, content, existed)
        self.path = path
        self.urlExpiresAt = urlExpiresAt?.description
    }

    /// - Throws: `MalformedInput` if the store, the key or `existed` is missing.
    package init(_ payload: JSONObject, type: String = BlobStored.type) throws(MalformedInput) {
        var reader = PayloadReader(payload, type: type)
        guard let store = reader.string("store"), let key = reader.string("key"), let existed = reader.bool("existed")
        else { throw MalformedInput(.invalidPayload, "\(type): store, key and existed are needed") }
        (self.store, self.key, self.existed) = (store, key, existed)
        url = reader.string("url")
        urlExpiresAt = reader.string("url_expires_at")
        path = reader.string("path")
        content = FileContent(&reader)
    }

    package var type: String { BlobStored.type }

    package var json: JSONObject {
        let place: JSONObject = [
            "store": .string(store), "key": .string(key), "url": JSON(url), "url_expires_at": JSON(urlExpiresAt),
            "path": JSON(path),
        ]
        return JSONObject(place.members + content.json.members + [.init(key: "existed", value: .bool(existed))])
    }
}

/// Removes an object from its store: `commands.blob.remove`.
package struct RemoveBlob: EventPayload {
    package static let type = "commands.blob.remove"
    package static let types = [type]

    /// The store that has the object, such as `s3://bucket` or `file:/path`.
    package var store: String
    package var key: String
    /// The SHA-256 of the object in hex; another object under the same key stays.
    package var sha256: String?

    package init(store: String, key: String, sha256: String?) {
        (self.store, self.key, self.sha256) = (store, key, sha256)
    }

    /// - Throws: `MalformedInput` if the store or the key is missing.
    package init(_ payload: JSONObject, type: String = RemoveBlob.type) throws(MalformedInput) {
        var reader = PayloadReader(payload, type: type)
        guard let store = reader.string("store"), let key = reader.string("key") else {
            throw MalformedInput(.invalidPayload, "\(type): store and key are needed")
        }
        (self.store, self.key) = (store, key)
        sha256 = reader.string("sha256")
    }

    package var type: String { RemoveBlob.type }

    package var json: JSONObject { ["store": .string(store), "key": .string(key), "sha256": JSON(sha256)] }
}

/// Reports that a store does not have an object any more: `events.blob.removed`.
package struct BlobRemoved: EventPayload {
    package static let type = "events.blob.removed"
    package static let types = [type]

    package var store: String
    package var key: String
    /// Is false if the object was gone already.
    package var existed: Bool

    package init(store: String, key: String, existed: Bool) {
        (self.store, self.key, self.existed) = (store, key, existed)
    }

    /// - Throws: `MalformedInput` if the store or the key is missing.
    package init(_ payload: JSONObject, type: String = BlobRemoved.type) throws(MalformedInput) {
        var reader = PayloadReader(payload, type: type)
        guard let store = reader.string("store"), let key = reader.string("key") else {
            throw MalformedInput(.invalidPayload, "\(type): store and key are needed")
        }
        (self.store, self.key) = (store, key)
        existed = reader.bool("existed") ?? true
    }

    package var type: String { BlobRemoved.type }

    package var json: JSONObject { ["store": .string(store), "key": .string(key), "existed": .bool(existed)] }
}
