import JSON
import TestSupport

extension BotEmulator {
    /// Waits until one of the bot's standing answers in a chat fulfils a condition.
    func answer(
        in chat: Int64, _ what: String = "answer", where isIt: (Entry) -> Bool
    ) async throws -> Entry {
        let end = ContinuousClock.now + .seconds(60)
        while true {
            let answers = try await answers(in: chat)
            if let answer = answers.last(where: isIt) { return answer }
            guard ContinuousClock.now < end else {
                throw ToolRun.TookTooLong(description: "no such \(what): \(answers.map { $0.json.text })")
            }
            try await Task.sleep(for: .milliseconds(20))
        }
    }

    /// Waits for the answer to the press of a button.
    func toast(of query: String) async throws -> String? {
        let end = ContinuousClock.now + .seconds(30)
        while ContinuousClock.now < end {
            let calls = try await calls("answerCallbackQuery")
            if let call = calls.first(where: { $0["params"]?["callback_query_id"]?.string == query }) {
                return call["params"]?["text"]?.string
            }
            try await Task.sleep(for: .milliseconds(20))
        }
        return nil
    }
}
