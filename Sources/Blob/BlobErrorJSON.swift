public import Envelope

extension BlobError {
    /// What other processes need to know of it.
    public var json: JSONObject {
        ["code": .string(code.rawValue), "message": .string(message), "temporary": .bool(isTemporary)]
    }

    /// Reads what another process told.
    public init(_ json: JSONObject) {
        self.init(
            json["code"]?.string.flatMap(Code.init) ?? .storeFailed, json["message"]?.string ?? "",
            isTemporary: json["temporary"]?.bool ?? false)
    }
}
