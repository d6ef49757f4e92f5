import Accounts
import JSON

/// Shows the media of a message that are no files in the form of the Bot API: polls, places, contacts, and others.
///
/// Source: https://core.telegram.org/bots/api#available-types
struct BotAttachments {
    let names: BotPeers
    let origin: MessageOrigin

    /// Returns the members that a `MessageMedia` adds to a message; none for a constructor that is a file, or unknown.
    func content(_ media: JSON) -> JSONObject {
        switch media["_"]?.string {
        case "messageMediaGeo", "messageMediaGeoLive": ["location": location(media)]
        case "messageMediaVenue": venue(media)
        case "messageMediaContact": ["contact": contact(media)]
        case "messageMediaDice": ["dice": .object(["emoji": media["emoticon"], "value": media["value"]])]
        case "messageMediaPoll": ["poll": poll(media)]
        case "messageMediaGame": ["game": media["game"].map(game)]
        case "messageMediaInvoice": ["invoice": invoice(media)]
        case "messageMediaStory": ["story": BotAttachments.story(media["peer"], media["id"], names)]
        case "messageMediaGiveaway": ["giveaway": giveaway(media)]
        case "messageMediaGiveawayResults": ["giveaway_winners": winners(media)]
        case "messageMediaPaidMedia": ["paid_media": paidMedia(media)]
        case "messageMediaToDo": ["checklist": checklist(media)]
        default: [:]
        }
    }

    /// Returns true if a flag is set, else nil: the Bot API leaves such members out.
    private func flag(_ json: JSON?) -> JSON? { json?.bool == true ? true : nil }

    private func nonEmpty(_ text: JSON?) -> JSON? { text?.string?.isEmpty == false ? text : nil }

    private func positive(_ number: JSON?) -> JSON? { number?.long.flatMap { $0 > 0 ? .integer($0) : nil } }

    // MARK: Places and contacts

    private func location(_ media: JSON) -> JSON? {
        guard let geo = media["geo"], let latitude = geo["lat"], let longitude = geo["long"] else { return nil }
        return .object([
            "latitude": latitude, "longitude": longitude, "horizontal_accuracy": geo["accuracy_radius"],
            "live_period": media["period"], "heading": media["heading"],
            "proximity_alert_radius": media["proximity_notification_radius"],
        ])
    }

    private func venue(_ media: JSON) -> JSONObject {
        let location = location(media)
        var venue: JSONObject = ["location": location, "title": media["title"], "address": media["address"]]
        let (id, type) = (nonEmpty(media["venue_id"]), nonEmpty(media["venue_type"]))
        switch media["provider"]?.string {
        case "foursquare": (venue["foursquare_id"], venue["foursquare_type"]) = (id, type)
        case "gplaces": (venue["google_place_id"], venue["google_place_type"]) = (id, type)
        default: break
        }
        // The Bot API also has this form, for programs that know only locations.
        return ["venue": .object(venue), "location": location]
    }

    private func contact(_ media: JSON) -> JSON {
        .object([
            "phone_number": media["phone_number"], "first_name": media["first_name"],
            "last_name": nonEmpty(media["last_name"]), "user_id": positive(media["user_id"]),
            "vcard": nonEmpty(media["vcard"]),
        ])
    }

    // MARK: Polls and checklists

    private func poll(_ media: JSON) -> JSON? {
        guard let poll = media["poll"] else { return nil }
        let (results, answers) = (media["results"], poll["answers"]?.array ?? [])
        let counts = results?["results"]?.array ?? []
        func result(of answer: JSON) -> JSON? { counts.first { $0["option"] == answer["option"] } }
        let isQuiz = poll["quiz"]?.bool == true
        let correct = answers.firstIndex { result(of: $0)?["correct"]?.bool == true }
        return .object([
            "id": poll["id"]?.long.map { .string("\($0)") }, "question": poll["question"].map(text),
            "question_entities": entities(poll["question"]),
            "options": .array(
                answers.map { answer in
                    .object([
                        "text": answer["text"].map(text), "text_entities": entities(answer["text"]),
                        "voter_count": result(of: answer)?["voters"] ?? 0,
                    ])
                }),
            "total_voter_count": results?["total_voters"] ?? 0, "is_closed": .bool(poll["closed"]?.bool == true),
            "is_anonymous": .bool(poll["public_voters"]?.bool != true), "type": isQuiz ? "quiz" : "regular",
            "allows_multiple_answers": .bool(poll["multiple_choice"]?.bool == true),
            "correct_option_id": isQuiz ? correct.map { .integer(Int64($0)) } : nil,
            "explanation": nonEmpty(results?["solution"]),
            "explanation_entities": BotEntities.list(results?["solution_entities"], names),
            "open_period": poll["close_period"], "close_date": poll["close_date"],
        ])
    }

    private func checklist(_ media: JSON) -> JSON? {
        guard let list = media["todo"] else { return nil }
        let done = media["completions"]?.array ?? []
        return .object([
            "title": list["title"].map(text), "title_entities": entities(list["title"]),
            "tasks": .array(
                (list["list"]?.array ?? []).map { task in
                    let completion = done.first { $0["id"] == task["id"] }
                    return .object(
                        JSONObject(
                            self.task(task).members
                                + completedBy(completion).members))
                }),
            "others_can_add_tasks": flag(list["others_can_append"]),
            "others_can_mark_tasks_as_done": flag(list["others_can_complete"]),
        ])
    }

    /// Returns the members of a `ChecklistTask`, without those of its completion.
    func task(_ item: JSON) -> JSONObject {
        ["id": item["id"], "text": item["title"].map(text), "text_entities": entities(item["title"])]
    }

    private func completedBy(_ completion: JSON?) -> JSONObject {
        guard let completion else { return [:] }
        // Older layers name a user by the id alone.
        let peer = completion["completed_by"].flatMap { $0.long.map { .user($0) } ?? PeerID(tl: $0) }
        var members: JSONObject = [:]
        switch peer {
        case .user(let id): members["completed_by_user"] = names.user(id)
        case let chat?: members["completed_by_chat"] = names.chat(chat)
        case nil: break
        }
        members["completion_date"] = completion["date"]
        return members
    }

    /// Returns the text of a `TextWithEntities`. Before layer 179, it was a string.
    private func text(_ text: JSON) -> JSON { text["text"] ?? text }

    private func entities(_ text: JSON?) -> JSON? { BotEntities.list(text?["entities"], names) }

    // MARK: Games, payments, stories

    private func game(_ game: JSON) -> JSON {
        let animation = game["document"].map { BotMedia.file($0, origin, names) }?["animation"]
        return .object([
            "title": game["title"], "description": game["description"],
            "photo": game["photo"].flatMap { BotMedia.sizes(of: $0, origin) }, "animation": animation,
        ])
    }

    private func invoice(_ media: JSON) -> JSON {
        .object([
            "title": media["title"], "description": media["description"], "start_parameter": media["start_param"],
            "currency": media["currency"], "total_amount": media["total_amount"]?.long.map { .integer($0) },
        ])
    }

    private func paidMedia(_ media: JSON) -> JSON {
        let items = (media["extended_media"]?.array ?? []).compactMap { item -> JSON? in
            guard let inner = item["media"] else {
                return .object([
                    "type": "preview", "width": item["w"], "height": item["h"], "duration": item["video_duration"],
                ])
            }
            let content = BotMedia.content(inner, origin: origin, names: names)
            if let photo = content["photo"] { return .object(["type": "photo", "photo": photo]) }
            return content["video"].map { .object(["type": "video", "video": $0]) }
        }
        return .object([
            "star_count": media["stars_amount"]?.long.map { .integer($0) }, "paid_media": .array(items),
        ])
    }

    /// Returns a `Story`; nil without its chat.
    static func story(_ peer: JSON?, _ id: JSON?, _ names: BotPeers) -> JSON? {
        peer.flatMap { PeerID(tl: $0) }.map { .object(["chat": names.chat($0), "id": id]) }
    }

    private func giveaway(_ media: JSON) -> JSON {
        let chats = (media["channels"]?.array ?? []).compactMap(\.long).map { names.chat(.channel($0)) }
        return .object([
            "chats": .array(chats), "winners_selection_date": media["until_date"], "winner_count": media["quantity"],
            "only_new_members": flag(media["only_new_subscribers"]),
            "has_public_winners": flag(media["winners_are_visible"]),
            "prize_description": nonEmpty(media["prize_description"]), "country_codes": media["countries_iso2"],
            "prize_star_count": positive(media["stars"]),
            "premium_subscription_month_count": positive(media["months"]),
        ])
    }

    private func winners(_ media: JSON) -> JSON {
        .object([
            "chat": media["channel_id"]?.long.map { names.chat(.channel($0)) },
            "giveaway_message_id": media["launch_msg_id"], "winners_selection_date": media["until_date"],
            "winner_count": media["winners_count"],
            "winners": .array((media["winners"]?.array ?? []).compactMap(\.long).map(names.user)),
            "additional_chat_count": positive(media["additional_peers_count"]),
            "prize_star_count": positive(media["stars"]),
            "premium_subscription_month_count": positive(media["months"]),
            "unclaimed_prize_count": positive(media["unclaimed_count"]),
            "only_new_members": flag(media["only_new_subscribers"]), "was_refunded": flag(media["refunded"]),
            "prize_description": nonEmpty(media["prize_description"]),
        ])
    }
}
