"""What statements about somebody's life are usually about, by examples that an embedder can compare them with."""

from __future__ import annotations

import re


def _read(table: str) -> dict[str, tuple[str, ...]]:
    entries = (line.split(": ", 1) for line in re.sub(r"\n\s{8,}", " ", table).strip().splitlines())
    return {name.strip(): tuple(re.findall(r"[^. ][^.]*\.", said)) for name, said in entries}


ONE_AT_A_TIME = _read(
    """
    home: The user lives in Berlin. The user rents a flat. The user's house has three bedrooms. The user moved to
        another city. The user bought a house. The user lives with their parents. The user moved into a new place.
        The user's new apartment has a balcony. The user got the keys to the house. The user settled in Lisbon. The
        user landed in Madrid with two suitcases for good. The user calls Oslo home. The user swapped the flat for a
        cottage. The user is in Vienna with a room of one's own.
    roommate: The user has a flatmate. The user shares a flat with two friends. The user's roommate moved out.
        Somebody new took the spare room. The user has the flat to themselves. A friend moved in with the user.
    work: The user works as a nurse. The user works at a bank. The user is an engineer at a firm. The user quit the
        job. The user got a new job. The user was laid off. The user retired. The user was promoted to manager. The
        user is unemployed. The user runs a small business. The user is self-employed. The user drives a bus for a
        living. The user was let go. The user started at a new company. The user has been at Siemens since May. The
        user handed in the notice. The user's new job is in sales. The user joined a startup as a developer. The
        user is a team lead. The user sold the business. The user was made redundant. The user is a freelancer.
    hours: The user works night shifts. The user works part-time. The user gets up at six. The user's alarm is at
        seven. The user goes to bed at eleven. The user works from home. The user switched to the day shift. The
        user is on the late shift. The user is back in the office five days a week. The user sleeps until nine.
    study: The user studies law at university. The user is a student. The user is in the second year. The user
        graduated. The user dropped out of college. The user is doing a PhD. The user finished the degree. The
        user's major is biology. The user takes an evening course. The user finished the course. The user switched
        to history. The user changed the major. The user defended the thesis. The user is a postdoc. The user passed
        the finals. The user left university for good.
    school: The user's daughter is in year three. The user's son goes to kindergarten. The user's son started
        school. The user's child changed schools.
    partner: The user is married. The user is single. The user has a girlfriend. The user got engaged. The user got
        married. The user is divorced. The user and the boyfriend broke up. The user has a wife. The user's husband
        left. The user is dating somebody. The user and Tom are together. The user's fiancée called off the wedding.
        The user met somebody new. The user is a widow. The divorce came through.
    baby: The user is pregnant. The user is expecting a baby. The user's baby was born. The user gave birth to a
        girl. The user's daughter arrived on Monday. The user had a boy.
    diet: The user is vegetarian. The user is vegan. The user eats meat again. The user does not eat pork. The user
        is on a keto diet. The user gave up sugar. The user eats fish now. The user went back to eating meat. The
        user had enough of being vegan. The user cooks without dairy.
    smoking: The user smokes. The user quit smoking. The user vapes. The user has not had a cigarette for a year.
        The user smokes a pack a day. The user is smoke-free. The user rolls cigarettes.
    car: The user drives a Toyota. The user has a car. The user sold the car. The user bought an electric car. The
        user's car broke down for good. The user's van was scrapped. The user traded the Golf in for an electric
        one. The user got rid of the car. The user's Honda was totalled. The user has no car.
    commute: The user takes the train to work. The user cycles to work. The user drives to the office. The user
        commutes an hour each way. The user goes everywhere by bus. The user gave up the bike for the tram. The
        user's new office is ten minutes away.
    licence: The user cannot drive. The user passed the driving test. The user is learning to drive. The user lost
        the driving licence.
    phone: The user has an Android phone. The user uses an iPhone. The user got a new phone. The user's phone broke.
        The user dropped the phone and replaced it. The user carries a Samsung.
    computer: The user's laptop runs Windows. The user uses Linux. The user has a MacBook. The user installed
        another operating system. The user bought a new laptop. The user plays on a console. The user put Ubuntu on
        the laptop. The user traded the PC for a Mac.
    bank: The user has a bank account at Barclays. The user moved the account to another bank. The user closed the
        account. The user's insurance is with Allianz. The user opened an account with another bank. The user went
        over to Revolut.
    provider: The user's internet provider is Vodafone. The user has broadband from a local company. The user's
        mobile contract is with O2. The user got fibre installed. The user changed the electricity provider. The
        user is with another provider. The user told the old broadband company goodbye.
    eyes: The user wears glasses. The user wears contact lenses. The user had laser surgery on the eyes. The user
        uses a hearing aid. The user does not need glasses any more. The user switched to contacts.
    weight: The user weighs 80 kilos. The user lost ten kilos. The user is 75 kg now. The user put on weight. The
        scale says 82. The user is down to 74. The user is back up to 90. The user gained five pounds.
    gym: The user trains at a gym. The user joined another gym. The user cancelled the gym membership. The user goes
        to crossfit. The user's membership is at the sports hall. The user works out at home.
    hair: The user has long hair. The user cut the hair short. The user dyed the hair. The user has a beard. The
        user shaved the beard off. The user shaved the head. The user's hair is pink. The user had the braids taken
        out.
    name: The user's name is Anna. The user wants to be called Bob. The user goes by another name now. The user took
        the husband's surname. The user uses they and them. The user's pronouns are she and her. The user took the
        maiden name back. The user uses the short name.
    salary: The user earns 40,000 a year. The user got a raise. The user's pay is 3,000 a month. The user's wage was
        cut. The user makes 3,000 a month. The user is paid by the hour.
    rent: The user's rent is 900 a month. The user pays a mortgage. The user's rent went up. The user paid off the
        mortgage. The landlord raised the rent. The user pays 1,100 for the flat.
    trip: The user is flying to Rome on Friday. The user is going to Japan in May. The user's trip was cancelled.
        The user postponed the holiday. The user booked a flight. The user is not going to Spain. The user's flight
        is on Sunday.
    wedding: The user's wedding is on 1 June. The wedding was moved to September. The user's appointment is on
        Monday. The exam was postponed. The user's deadline is Friday. The concert is off. The meeting was pushed
        back to Thursday. The surgery is on the 5th.
    boss: The user's boss is Karen. The user got a new manager. The user's teacher left. The user's landlord sold
        the house. The user reports to somebody else. The user's class has another teacher.
    team: The user's shop has five employees. The user's team has eight people. The user has twenty pupils. Two of
        the user's colleagues left. The user manages four people. The user has only three employees left. The user's
        class has thirty children.
    place: The user hates the city. The user loves London. The user does not like the new town. The user would not
        live anywhere else. The user has come to love the city. The user misses the old town.
    age: The user is 30 years old. The user turned 40. The user's son is five. The user is 19.
    length: The user wants short answers. The user asks the assistant to keep the answers brief. The user asks the
        assistant to explain in detail. The user wants long answers. The user wants two sentences at most.
    tongue: The user asks the assistant to answer in German. The user wants replies in French. The user writes to the
        assistant in Dutch from now on.
    spelling: The user wants British spelling. The user wants American English. The user asks the assistant to write in
        Canadian spelling.
    units: The user wants metric units. The user asks the assistant to use Fahrenheit. The user wants kilometres and
        Celsius. The user wants prices in euros.
    alcohol: The user drinks wine in the evening. The user does not drink alcohol. The user is sober. The user
        stopped drinking. The user drinks beer. The user has not touched a drop for a year. The user has a glass of
        wine with dinner.
    """
)
"""Matters of which a person has one at a time: what is so now takes the place of what was so before."""

SEVERAL = _read(
    """
    children: The user has two children. The user has three grandchildren. The user has a third child.
    pet: The user has a dog. The user has a cat named Tom. The user's dog died. The user keeps chickens. The user
        gave the cat away. The user adopted a puppy. The user's rabbit passed away. The user had to put the cat
        down. The user sold the horse. The user's hens went to a farm.
    drinks: The user drinks coffee. The user drinks tea with milk and sugar. The user gave up coffee. The user
        drinks decaf now. The user switched to green tea. The user takes coffee black. The user is off coffee. The
        user takes tea without sugar.
    bicycle: The user rides a bicycle. The user's bike was stolen. The user bought a new bike. The user has a
        motorbike.
    software: The user uses Vim as editor. The user takes notes in Notion. The user's team uses Jira. The user
        switched to another app. The user writes documents in Word. The user uninstalled the app. The user edits
        photos in Lightroom. The user went over to Brave. The user moved all notes to Obsidian. The user deleted the
        account. The user does all the work in Zed.
    programming: The user programs in Python. The user's backend is written in Java. The user's team rewrote the
        code in Go. The user writes Rust at work. The user's project uses Postgres as database. The user and others
        rewrote everything in Elixir. The user shut off the last Ruby service.
    subscription: The user has a Netflix subscription. The user cancelled the subscription. The user subscribes to a
        newspaper. The user's membership ended. The user let the membership lapse. The user stopped paying for the
        magazine.
    illness: The user has diabetes. The user has migraines. The user is in hospital. The user's blood pressure is
        high. The user is in remission. The user's migraines are gone. The user was diagnosed with asthma. The
        user's asthma is under control. The user was cured.
    sport: The user plays football for a club. The user plays tennis. The user stopped playing rugby. The user
        coaches the team. The user is a goalkeeper. The user took up climbing. The user hung up the boots. The user
        plays in goal on Sundays. The user left the team.
    fan: The user supports Arsenal. The user is a fan of the team. The user watches Formula One.
    instrument: The user plays the guitar. The user sings in a choir. The user left the band. The user gave up the
        piano. The user takes violin lessons. The user sold the cello. The user has not touched the piano for years.
        The user is done with the choir.
    music: The user listens to jazz. The user hates country music. The user loves techno. The user's favourite band
        is Radiohead. The user has had this singer on repeat. The user cannot listen to metal any more. The user got
        into opera.
    hobby: The user knits in the evenings. The user does pottery. The user collects stamps. The user gave up
        gardening. The user's hobby is photography. The user sold the sewing machine. The user dropped the painting
        class. The user has no time to sew.
    games: The user plays chess. The user plays World of Warcraft. The user is reading a novel. The user watches a
        series. The user finished the book. The user stopped playing the game. The user uninstalled the game. The
        user gave up chess. The user is done with the series.
    language: The user is learning Spanish. The user speaks French. The user's German is at B1. The user stopped
        learning Japanese. The user passed the language exam. The user gave up on Japanese. The user is fluent in
        Italian.
    faith: The user goes to church on Sundays. The user is Catholic. The user lost the faith. The user converted to
        Islam. The user is an atheist. The user does not believe any more. The user has not been to church for a
        year. The user prays every day.
    politics: The user votes Labour. The user is a member of a party. The user left the party. The user is on the
        parish council. The user volunteers at a shelter. The user stepped down from the committee. The user handed
        the keys of the club back. The user joined a union.
    money: The user saves for a house. The user's savings goal is 10,000. The user has debts. The user paid off the
        loan. The user's budget is 500. The user invests in shares. The user raised the savings goal. The user
        bought the car with the savings. The user is debt-free.
    family: The user's mother lives in Spain. The user's father died. The user's sister is a doctor. The user's
        brother moved in. The user's grandmother is in a home. The user's parents sold the house. The user's brother
        is out of hospital.
    friend: The user's best friend is Tom. The user fell out with a friend. The user meets friends on Fridays. The
        user does not speak to Tom any more. The user's friend moved to Canada.
    customers: The user sells to customers abroad. The user closed the shop. The user opened a second shop. The user
        sells cakes at the market. The user dropped the shop in the States. The user's customers are all in Ireland.
    food: The user loves sushi. The user cannot stand olives. The user likes spicy food. The user's favourite dish
        is lasagne. The user has come to like coriander. The user went off mushrooms. The user cannot get enough of
        coriander.
    garden: The user grows tomatoes. The user has an allotment. The user keeps bees. The user gave up the allotment.
        The user's garden is small. The user sold the hives. The user gave the plot back to the council.
    renovation: The user's kitchen is being renovated. The bathroom is finished. The roof leaks. The boiler was
        replaced. The user heats with gas. The user got a heat pump.
    papers: The user's visa runs out. The user got citizenship. The user has a residence permit. The user renewed
        the passport.
    sleep: The user cannot sleep. The user sleeps well again. The user snores. The user wakes up at night.
    fear: The user is afraid of flying. The user got over the fear. The user is scared of dogs. The user is shy. The
        user flies without fear. The user is not afraid of dogs any more.
    intolerance: The user is allergic to nuts. The user is lactose intolerant. The user cannot eat gluten. The user
        can eat peanuts again. The user's allergy is gone. The test showed no allergy. The user outgrew the allergy.
        The user can have milk.
    doctor: The user's doctor is Dr Smith. The user has a new dentist. The user sees a therapist. The user's doctor
        retired. The user changed doctors. The user sees another doctor. The user was put with Dr Jones.
    medicine: The user takes medicine every morning. The user takes 50 mg of sertraline. The doctor switched the
        user to another drug. The user stopped taking the pills. The user is off antidepressants. The user uses an
        inhaler. The user is on another drug instead. The doctor took the user off the pills. The user's dose was
        raised.
    injury: The user broke an arm. The user's leg is in a cast. The user's knee hurts. The user's back is fine
        again. The user's wrist has healed. The user cannot lift the arm. The user walks on crutches. The user
        recovered from the surgery. The user's cast is off. The user can lift the arm again. The physio signed the
        user off.
    fitness: The user can run five kilometres. The user trains for a marathon. The user ran a half marathon. The
        user can do ten push-ups. The user swims twice a week. The user stopped running. The user can swim a
        kilometre. The user does ten kilometres every Sunday.
    manner: The user asks the assistant to use bullet points. The user wants no emojis. The user asks the assistant to
        be honest. The user asks the assistant to show sources. The user asks the assistant to stop apologising. The
        user asks the assistant to use type hints in code.
    """
)
"""Matters of which a person may have several: only what says that something is over ends anything."""
