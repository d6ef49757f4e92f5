import JSON
import TL

/// Supplies the parameters that a method demands although leaving them out could only mean one thing.
struct CallDefaults {
    private static let page: JSON = 100
    private let schema: TLSchema

    init(_ schema: TLSchema) { self.schema = schema }

    /// Returns the parameters with those that the caller left out.
    ///
    /// Methods that read (`get…`, `search…`) begin at the first page. Other methods get nothing but a `random_id`: there, a
    /// zero can mean "everything", as `max_id` does when a history is deleted.
    func completed(_ parameters: JSONObject, of method: String) -> JSONObject {
        guard let description = schema.method(method) else { return parameters }
        let name = method.split(separator: ".").last ?? ""
        let reads = name.hasPrefix("get") || name.hasPrefix("search")
        var completed = parameters
        for parameter in description.parameters where !parameter.isOptional && parameters[parameter.name] == nil {
            let value =
                parameter.name == "random_id"
                ? randomID(parameter, for: parameters) : reads ? beginning(parameter, of: method) : nil
            if let value { completed[parameter.name] = value }
        }
        return completed
    }

    /// Telegram uses a `random_id` to recognise a repeated message; without one of the caller's own, there is no
    /// repetition to recognise.
    private func randomID(_ parameter: TLDescription.Parameter, for parameters: JSONObject) -> JSON? {
        func random() -> JSON { .string(String(Int64.random(in: .min ... .max))) }
        return switch (parameter.type, parameters["id"]?.array) {
        case ("long", _): random()
        // One number for each message.
        case ("Vector<long>", let messages?): .array(messages.map { _ in random() })
        default: nil
        }
    }

    /// Returns the value with which a method reads the first page of everything.
    private func beginning(_ parameter: TLDescription.Parameter, of method: String) -> JSON? {
        let isMessages = method.hasPrefix("messages.")
        switch (parameter.name, parameter.type) {
        case ("limit", "int"): return method.hasPrefix("upload.") ? nil : CallDefaults.page
        case ("hash", "int"), ("hash", "long"), ("add_offset", "int"): return 0
        case (let name, "int"), (let name, "long"):
            return ["offset", "max_", "min_"].contains { name.hasPrefix($0) } ? 0 : nil
        case ("offset", "string"): return ""
        case ("q", "string"): return isMessages ? "" : nil
        case ("offset_peer", "InputPeer"): return ["_": "inputPeerEmpty"]
        case ("filter", "MessagesFilter"): return ["_": "inputMessagesFilterEmpty"]
        default: return nil
        }
    }
}
