import JSON

/// Writes the media of a message that are no files in the form of the Bot API, as `BotAttachments` shows them: places,
/// contacts, dice and polls.
struct AttachmentWriter {
    let output: TextBuffer

    /// - Returns: false if the media is not written directly.
    func write(_ media: JSONView, _ kind: UnsafeRawBufferPointer) -> Bool {
        if kind.matches("messageMediaPoll") {
            writePoll(media)
        } else if kind.matches("messageMediaGeo") || kind.matches("messageMediaGeoLive") {
            writeLocation(media, #","location":{"latitude":"#)
        } else if kind.matches("messageMediaVenue") {
            writeVenue(media)
        } else if kind.matches("messageMediaContact") {
            writeContact(media)
        } else if kind.matches("messageMediaDice") {
            writeDice(media)
        } else {
            false
        }
    }

    /// Appends a text unless it is empty.
    private func put(_ key: StaticString, nonEmpty value: JSONView?) {
        guard let value else { return }
        // Only the tree has the text of a string that UTF-8 cannot represent.
        if !(value.text?.isEmpty ?? (value.json.string?.isEmpty ?? true)) { output.put(key, value) }
    }

    // MARK: Places and contacts

    private func writeLocation(_ media: JSONView, _ opening: StaticString) -> Bool {
        guard let geo = media["geo"], let latitude = geo["lat"], let longitude = geo["long"] else { return false }
        output.put(opening, latitude)
        output.put(#","longitude":"#, longitude)
        output.put(#","horizontal_accuracy":"#, geo["accuracy_radius"])
        output.put(#","live_period":"#, media["period"])
        output.put(#","heading":"#, media["heading"])
        output.put(#","proximity_alert_radius":"#, media["proximity_notification_radius"])
        output.put("}")
        return true
    }

    private func writeVenue(_ media: JSONView) -> Bool {
        guard writeLocation(media, #","venue":{"location":{"latitude":"#) else { return false }
        output.put(#","title":"#, media["title"])
        output.put(#","address":"#, media["address"])
        let provider = media["provider"]
        if provider?.matches("foursquare") == true {
            put(#","foursquare_id":"#, nonEmpty: media["venue_id"])
            put(#","foursquare_type":"#, nonEmpty: media["venue_type"])
        } else if provider?.matches("gplaces") == true {
            put(#","google_place_id":"#, nonEmpty: media["venue_id"])
            put(#","google_place_type":"#, nonEmpty: media["venue_type"])
        }
        output.put("}")
        return writeLocation(media, #","location":{"latitude":"#)
    }

    private func writeContact(_ media: JSONView) -> Bool {
        guard let phone = media["phone_number"] else { return false }
        output.put(#","contact":{"phone_number":"#, phone)
        output.put(#","first_name":"#, media["first_name"])
        put(#","last_name":"#, nonEmpty: media["last_name"])
        if let user = media["user_id"]?.long, user > 0 { output.put(#","user_id":"#, user) }
        put(#","vcard":"#, nonEmpty: media["vcard"])
        output.put("}")
        return true
    }

    private func writeDice(_ media: JSONView) -> Bool {
        guard let emoji = media["emoticon"] else { return false }
        output.put(#","dice":{"emoji":"#, emoji)
        output.put(#","value":"#, media["value"])
        output.put("}")
        return true
    }

    // MARK: Polls

    private func writePoll(_ media: JSONView) -> Bool {
        guard let poll = media["poll"], let id = poll["id"]?.long, let question = plain(poll["question"]) else {
            return false
        }
        let results = media["results"]
        output.put(#","poll":{"id":""#, id)
        output.put(#"","question":"#, question)
        guard writeOptions(poll["answers"], results?["results"]) else { return false }
        output.put(#","total_voter_count":"#)
        if let total = results?["total_voters"] { output.put(total) } else { output.put("0") }
        put(#","is_closed":"#, poll["closed"]?.isTrue == true)
        put(#","is_anonymous":"#, poll["public_voters"]?.isTrue != true)
        let isQuiz = poll["quiz"]?.isTrue == true
        output.put(isQuiz ? #","type":"quiz""# : #","type":"regular""#)
        put(#","allows_multiple_answers":"#, poll["multiple_choice"]?.isTrue == true)
        if isQuiz { writeCorrect(poll["answers"], results?["results"]) }
        put(#","explanation":"#, nonEmpty: results?["solution"])
        guard isEmpty(results?["solution_entities"]) else { return false }
        output.put(#","open_period":"#, poll["close_period"])
        output.put(#","close_date":"#, poll["close_date"])
        output.put("}")
        return true
    }

    private func put(_ key: StaticString, _ isTrue: Bool) {
        output.put(key)
        output.put(isTrue ? "true" : "false")
    }

    private func isEmpty(_ list: JSONView?) -> Bool { (list?.elements.count ?? 0) == 0 }

    /// Returns the text of a `TextWithEntities` that has no entities. Before layer 179, it was a string.
    private func plain(_ text: JSONView?) -> JSONView? {
        guard let text, isEmpty(text["entities"]) else { return nil }
        return text["text"] ?? text
    }

    private func writeOptions(_ answers: JSONView?, _ results: JSONView?) -> Bool {
        output.put(#","options":["#)
        guard let answers else {
            output.put("]")
            return true
        }
        var isFirst = true
        for answer in answers.elements {
            guard let text = plain(answer["text"]), let option = answer["option"]?.text else { return false }
            output.put(isFirst ? #"{"text":"# : #",{"text":"#, text)
            isFirst = false
            output.put(#","voter_count":"#)
            if let voters = result(option, results)?["voters"] { output.put(voters) } else { output.put("0") }
            output.put("}")
        }
        output.put("]")
        return true
    }

    private func result(_ option: UnsafeRawBufferPointer, _ results: JSONView?) -> JSONView? {
        results?.elements.first { $0["option"]?.text.map { $0.elementsEqual(option) } ?? false }
    }

    private func writeCorrect(_ answers: JSONView?, _ results: JSONView?) {
        let correct = answers?.elements.enumerated().first { _, answer in
            answer["option"]?.text.map { result($0, results)?["correct"]?.isTrue == true } ?? false
        }
        if let correct { output.put(#","correct_option_id":"#, Int64(correct.offset)) }
    }
}
