package import JSON

extension BlobError {
    /// What other processes need to know of it.
    package var json: JSONObject {
        ["code": .string(code.rawValue), "message": .string(message), "temporary": .bool(isTemporary)]
    }

    /// Reads what another process told.
    package init(_ json: JSONObject) {
        self.init(
            json["code"]?.string.flatMap(Code.init) ?? .storeFailed, json["message"]?.string ?? "",
            isTemporary: json["temporary"]?.bool ?? false)
    }
}
