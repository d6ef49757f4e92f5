import JSON

extension BotFieldTests {
    /// Each kind of media that is no file, in TL and as the Bot API shows it.
    static let media: [(name: String, tl: JSON, shown: JSON)] = [
        (
            "location", ["_": "messageMediaGeo", "geo": geo],
            ["location": ["latitude": 1.5, "longitude": 2.5, "horizontal_accuracy": 10]]
        ),
        (
            "live location",
            [
                "_": "messageMediaGeoLive", "geo": geo, "heading": 90, "period": 600,
                "proximity_notification_radius": 50,
            ],
            [
                "location": [
                    "latitude": 1.5, "longitude": 2.5, "horizontal_accuracy": 10, "live_period": 600, "heading": 90,
                    "proximity_alert_radius": 50,
                ]
            ]
        ),
        ("location that was taken away", ["_": "messageMediaGeo", "geo": ["_": "geoPointEmpty"]], [:]),
        (
            "venue",
            [
                "_": "messageMediaVenue", "geo": ["_": "geoPoint", "lat": 1.5, "long": 2.5], "title": "Café",
                "address": "Street 1", "provider": "foursquare", "venue_id": "x1", "venue_type": "food/cafe",
            ],
            [
                "venue": [
                    "location": ["latitude": 1.5, "longitude": 2.5], "title": "Café", "address": "Street 1",
                    "foursquare_id": "x1", "foursquare_type": "food/cafe",
                ], "location": ["latitude": 1.5, "longitude": 2.5],
            ]
        ),
        (
            "venue of Google",
            [
                "_": "messageMediaVenue", "geo": ["_": "geoPoint", "lat": 1.5, "long": 2.5], "title": "T",
                "address": "A", "provider": "gplaces", "venue_id": "x1", "venue_type": "",
            ],
            [
                "venue": [
                    "location": ["latitude": 1.5, "longitude": 2.5], "title": "T", "address": "A",
                    "google_place_id": "x1",
                ], "location": ["latitude": 1.5, "longitude": 2.5],
            ]
        ),
        (
            "contact without an account",
            [
                "_": "messageMediaContact", "phone_number": "+1", "first_name": "Ann", "last_name": "", "vcard": "",
                "user_id": "0",
            ], ["contact": ["phone_number": "+1", "first_name": "Ann"]]
        ),
        (
            "contact",
            [
                "_": "messageMediaContact", "phone_number": "+1", "first_name": "Ann", "last_name": "Lee",
                "vcard": "BEGIN:VCARD", "user_id": "77",
            ],
            [
                "contact": [
                    "phone_number": "+1", "first_name": "Ann", "last_name": "Lee", "vcard": "BEGIN:VCARD",
                    "user_id": 77,
                ]
            ]
        ),
        ("dice", ["_": "messageMediaDice", "value": 4, "emoticon": "🎲"], ["dice": ["emoji": "🎲", "value": 4]]),
        (
            "poll",
            [
                "_": "messageMediaPoll",
                "poll": [
                    "_": "poll", "id": "9007199254740993", "public_voters": true, "multiple_choice": true,
                    "question": text("Q"), "close_period": 60, "close_date": 2000,
                    "answers": [
                        ["_": "pollAnswer", "text": text("A"), "option": "MA=="],
                        [
                            "_": "pollAnswer", "text": ["_": "textWithEntities", "text": "B", "entities": []],
                            "option": "MQ==",
                        ],
                    ],
                ],
                "results": [
                    "_": "pollResults", "total_voters": 3,
                    "results": [["_": "pollAnswerVoters", "option": "MQ==", "voters": 3]],
                ],
            ],
            [
                "poll": [
                    "id": "9007199254740993", "question": "Q", "question_entities": shownBold,
                    "options": [
                        ["text": "A", "text_entities": shownBold, "voter_count": 0], ["text": "B", "voter_count": 3],
                    ], "total_voter_count": 3, "is_closed": false, "is_anonymous": false, "type": "regular",
                    "allows_multiple_answers": true, "open_period": 60, "close_date": 2000,
                ]
            ]
        ),
        (
            "quiz",
            [
                "_": "messageMediaPoll",
                "poll": [
                    "_": "poll", "id": "1", "closed": true, "quiz": true, "question": text("Q"),
                    "answers": [
                        ["_": "pollAnswer", "text": text("A"), "option": "MA=="],
                        ["_": "pollAnswer", "text": text("B"), "option": "MQ=="],
                    ],
                ],
                "results": [
                    "_": "pollResults", "solution": "Because", "solution_entities": [bold],
                    "results": [["_": "pollAnswerVoters", "correct": true, "option": "MQ==", "voters": 1]],
                ],
            ],
            [
                "poll": [
                    "id": "1", "question": "Q", "question_entities": shownBold,
                    "options": [
                        ["text": "A", "text_entities": shownBold, "voter_count": 0],
                        ["text": "B", "text_entities": shownBold, "voter_count": 1],
                    ], "total_voter_count": 0, "is_closed": true, "is_anonymous": true, "type": "quiz",
                    "allows_multiple_answers": false, "correct_option_id": 1, "explanation": "Because",
                    "explanation_entities": shownBold,
                ]
            ]
        ),
        (
            "checklist",
            [
                "_": "messageMediaToDo",
                "todo": [
                    "_": "todoList", "others_can_complete": true, "title": text("T"),
                    "list": [
                        ["_": "todoItem", "id": 1, "title": text("A")], ["_": "todoItem", "id": 2, "title": text("B")],
                    ],
                ], "completions": [["_": "todoCompletion", "id": 2, "completed_by": bobPeer, "date": 900]],
            ],
            [
                "checklist": [
                    "title": "T", "title_entities": shownBold, "others_can_mark_tasks_as_done": true,
                    "tasks": [
                        ["id": 1, "text": "A", "text_entities": shownBold],
                        [
                            "id": 2, "text": "B", "text_entities": shownBold, "completed_by_user": bob,
                            "completion_date": 900,
                        ],
                    ],
                ]
            ]
        ),
        (
            "game", ["_": "messageMediaGame", "game": ["_": "game", "title": "G", "description": "D"]],
            ["game": ["title": "G", "description": "D"]]
        ),
        (
            "invoice",
            [
                "_": "messageMediaInvoice", "title": "T", "description": "D", "start_param": "s", "currency": "XTR",
                "total_amount": "5",
            ],
            [
                "invoice": [
                    "title": "T", "description": "D", "start_parameter": "s", "currency": "XTR", "total_amount": 5,
                ]
            ]
        ),
        (
            "story", ["_": "messageMediaStory", "peer": newsPeer, "id": 3],
            ["story": ["chat": news, "id": 3]]
        ),
        (
            "giveaway",
            [
                "_": "messageMediaGiveaway", "only_new_subscribers": true, "channels": ["5"], "quantity": 10,
                "months": 3, "until_date": 5000, "countries_iso2": ["DE"],
            ],
            [
                "giveaway": [
                    "chats": [news], "winners_selection_date": 5000, "winner_count": 10, "only_new_members": true,
                    "country_codes": ["DE"], "premium_subscription_month_count": 3,
                ]
            ]
        ),
        (
            "giveaway's winners",
            [
                "_": "messageMediaGiveawayResults", "channel_id": "5", "launch_msg_id": 4, "winners_count": 1,
                "unclaimed_count": 0, "winners": ["77"], "stars": "50", "until_date": 5000,
            ],
            [
                "giveaway_winners": [
                    "chat": news, "giveaway_message_id": 4, "winners_selection_date": 5000, "winner_count": 1,
                    "winners": [bob], "prize_star_count": 50,
                ]
            ]
        ),
        (
            "paid media",
            [
                "_": "messageMediaPaidMedia", "stars_amount": "5",
                "extended_media": [["_": "messageExtendedMediaPreview", "w": 10, "h": 20, "video_duration": 3]],
            ],
            [
                "paid_media": [
                    "star_count": 5, "paid_media": [["type": "preview", "width": 10, "height": 20, "duration": 3]],
                ]
            ]
        ),
        ("unknown media", ["_": "messageMediaUnsupported"], [:]),
    ]
}
