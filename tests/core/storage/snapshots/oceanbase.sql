CREATE TABLE memori_schema_lock (
    id INTEGER NOT NULL,
    PRIMARY KEY (id)
);

CREATE TABLE memori_schema_version (
    version INTEGER NOT NULL,
    applied_at BIGINT NOT NULL,
    PRIMARY KEY (version)
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE memori_embedding_space (
    id VARCHAR(32) NOT NULL,
    embedder VARCHAR(255) NOT NULL,
    model VARCHAR(255),
    dimension INTEGER NOT NULL,
    PRIMARY KEY (id)
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE memori_entity (
    id VARCHAR(32) NOT NULL,
    namespace VARCHAR(255),
    external_id VARCHAR(255) NOT NULL,
    revision BIGINT NOT NULL,
    generation VARCHAR(32) NOT NULL,
    active_space VARCHAR(32),
    created_at BIGINT NOT NULL,
    PRIMARY KEY (id)
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_bin;

CREATE INDEX ix_memori_entity_external ON memori_entity (external_id);

CREATE TABLE memori_process (
    id VARCHAR(32) NOT NULL,
    namespace VARCHAR(255),
    external_id VARCHAR(255) NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (id)
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_bin;

CREATE INDEX ix_memori_process_external ON memori_process (external_id);

CREATE TABLE memori_entity_fact (
    id VARCHAR(32) NOT NULL,
    entity_id VARCHAR(32) NOT NULL,
    process_id VARCHAR(32),
    session_id VARCHAR(32),
    position INTEGER,
    message_id VARCHAR(32),
    kind VARCHAR(16) NOT NULL,
    status VARCHAR(16) NOT NULL,
    content LONGTEXT,
    search_text LONGTEXT NOT NULL,
    fingerprint VARCHAR(64) NOT NULL,
    slot VARCHAR(255),
    speaker LONGTEXT,
    source VARCHAR(16) NOT NULL,
    importance FLOAT NOT NULL,
    mentions INTEGER NOT NULL,
    tier VARCHAR(8) NOT NULL,
    extractor VARCHAR(64),
    said_at BIGINT,
    valid_from BIGINT,
    valid_to BIGINT,
    expires_at BIGINT,
    created_at BIGINT NOT NULL,
    retired_at BIGINT,
    superseded_by VARCHAR(32),
    revision BIGINT NOT NULL,
    PRIMARY KEY (id),
    FOREIGN KEY(entity_id) REFERENCES memori_entity (id) ON DELETE CASCADE,
    FOREIGN KEY(process_id) REFERENCES memori_process (id) ON DELETE CASCADE
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_bin;

CREATE INDEX ix_memori_fact_fingerprint ON memori_entity_fact (entity_id, fingerprint);

CREATE INDEX ix_memori_fact_newest ON memori_entity_fact (entity_id, status, kind, created_at, position, id);

CREATE INDEX ix_memori_fact_revision ON memori_entity_fact (entity_id, revision);

CREATE INDEX ix_memori_fact_slot ON memori_entity_fact (entity_id, slot);

CREATE INDEX ix_memori_fact_successor ON memori_entity_fact (entity_id, superseded_by);

CREATE INDEX ix_memori_fact_tier ON memori_entity_fact (entity_id, tier);

CREATE TABLE memori_item (
    id VARCHAR(32) NOT NULL,
    entity_id VARCHAR(32) NOT NULL,
    namespace LONGTEXT NOT NULL,
    item_key LONGTEXT,
    content LONGTEXT,
    space_id VARCHAR(32),
    vectors LONGBLOB,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    expires_at BIGINT,
    scope_1 VARCHAR(64),
    scope_2 VARCHAR(64),
    scope_3 VARCHAR(64),
    PRIMARY KEY (id),
    FOREIGN KEY(entity_id) REFERENCES memori_entity (id) ON DELETE CASCADE
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_bin;

CREATE INDEX ix_memori_item_expiry ON memori_item (expires_at);

CREATE INDEX ix_memori_item_newest ON memori_item (entity_id, updated_at, id);

CREATE INDEX ix_memori_item_scope_1 ON memori_item (entity_id, scope_1, updated_at, id);

CREATE INDEX ix_memori_item_scope_2 ON memori_item (entity_id, scope_2, updated_at, id);

CREATE INDEX ix_memori_item_scope_3 ON memori_item (entity_id, scope_3, updated_at, id);

CREATE TABLE memori_node (
    id VARCHAR(32) NOT NULL,
    entity_id VARCHAR(32) NOT NULL,
    name LONGTEXT,
    type VARCHAR(64),
    PRIMARY KEY (id),
    FOREIGN KEY(entity_id) REFERENCES memori_entity (id) ON DELETE CASCADE
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_bin;

CREATE INDEX ix_memori_node_entity ON memori_node (entity_id);

CREATE TABLE memori_predicate (
    id VARCHAR(32) NOT NULL,
    entity_id VARCHAR(32) NOT NULL,
    name LONGTEXT,
    PRIMARY KEY (id),
    FOREIGN KEY(entity_id) REFERENCES memori_entity (id) ON DELETE CASCADE
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_bin;

CREATE INDEX ix_memori_predicate_entity ON memori_predicate (entity_id);

CREATE TABLE memori_process_attribute (
    id VARCHAR(32) NOT NULL,
    process_id VARCHAR(32) NOT NULL,
    entity_id VARCHAR(32),
    content LONGTEXT,
    fingerprint VARCHAR(64) NOT NULL,
    mentions INTEGER NOT NULL,
    created_at BIGINT NOT NULL,
    message_id VARCHAR(32),
    source VARCHAR(16),
    extractor VARCHAR(64),
    PRIMARY KEY (id),
    FOREIGN KEY(process_id) REFERENCES memori_process (id) ON DELETE CASCADE,
    FOREIGN KEY(entity_id) REFERENCES memori_entity (id) ON DELETE CASCADE
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_bin;

CREATE INDEX ix_memori_attribute_entity ON memori_process_attribute (entity_id, process_id);

CREATE INDEX ix_memori_process_attribute ON memori_process_attribute (process_id, fingerprint);

CREATE TABLE memori_session (
    id VARCHAR(32) NOT NULL,
    entity_id VARCHAR(32) NOT NULL,
    process_id VARCHAR(32),
    external_id VARCHAR(255) NOT NULL,
    implicit SMALLINT NOT NULL,
    message_count INTEGER NOT NULL,
    version INTEGER NOT NULL,
    created_at BIGINT NOT NULL,
    last_at BIGINT NOT NULL,
    last_digest VARCHAR(64),
    PRIMARY KEY (id),
    FOREIGN KEY(entity_id) REFERENCES memori_entity (id) ON DELETE CASCADE,
    FOREIGN KEY(process_id) REFERENCES memori_process (id) ON DELETE CASCADE
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_bin;

CREATE INDEX ix_memori_session_digest ON memori_session (entity_id, last_digest);

CREATE INDEX ix_memori_session_recent ON memori_session (entity_id, process_id, last_at);

CREATE TABLE memori_augmentation_job (
    id VARCHAR(32) NOT NULL,
    entity_id VARCHAR(32) NOT NULL,
    session_id VARCHAR(32) NOT NULL,
    first_position INTEGER NOT NULL,
    last_position INTEGER NOT NULL,
    state VARCHAR(8) NOT NULL,
    attempts INTEGER NOT NULL,
    lease_token VARCHAR(32),
    lease_until BIGINT,
    next_attempt_at BIGINT NOT NULL,
    last_error LONGTEXT,
    created_at BIGINT NOT NULL,
    finished_at BIGINT,
    PRIMARY KEY (id),
    FOREIGN KEY(entity_id) REFERENCES memori_entity (id) ON DELETE CASCADE,
    FOREIGN KEY(session_id) REFERENCES memori_session (id) ON DELETE CASCADE
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_bin;

CREATE INDEX ix_memori_job_due ON memori_augmentation_job (state, next_attempt_at);

CREATE INDEX ix_memori_job_entity ON memori_augmentation_job (entity_id, state);

CREATE TABLE memori_conversation (
    id VARCHAR(32) NOT NULL,
    entity_id VARCHAR(32) NOT NULL,
    session_id VARCHAR(32) NOT NULL,
    external_id VARCHAR(255),
    summary LONGTEXT,
    started_at BIGINT NOT NULL,
    last_at BIGINT NOT NULL,
    PRIMARY KEY (id),
    FOREIGN KEY(entity_id) REFERENCES memori_entity (id) ON DELETE CASCADE,
    FOREIGN KEY(session_id) REFERENCES memori_session (id) ON DELETE CASCADE
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_bin;

CREATE INDEX ix_memori_conversation_latest ON memori_conversation (session_id, last_at);

CREATE INDEX ix_memori_conversation_recent ON memori_conversation (entity_id, last_at);

CREATE TABLE memori_entity_fact_mention (
    fact_id VARCHAR(32) NOT NULL,
    message_id VARCHAR(32) NOT NULL,
    entity_id VARCHAR(32) NOT NULL,
    PRIMARY KEY (fact_id, message_id),
    FOREIGN KEY(fact_id) REFERENCES memori_entity_fact (id) ON DELETE CASCADE,
    FOREIGN KEY(entity_id) REFERENCES memori_entity (id) ON DELETE CASCADE
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_bin;

CREATE INDEX ix_memori_mention_message ON memori_entity_fact_mention (entity_id, message_id);

CREATE TABLE memori_fact_embedding (
    fact_id VARCHAR(32) NOT NULL,
    space_id VARCHAR(32) NOT NULL,
    passage INTEGER NOT NULL,
    entity_id VARCHAR(32) NOT NULL,
    vector LONGBLOB NOT NULL,
    window_ids LONGTEXT,
    PRIMARY KEY (fact_id, space_id, passage),
    FOREIGN KEY(fact_id) REFERENCES memori_entity_fact (id) ON DELETE CASCADE,
    FOREIGN KEY(space_id) REFERENCES memori_embedding_space (id),
    FOREIGN KEY(entity_id) REFERENCES memori_entity (id) ON DELETE CASCADE
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_bin;

CREATE INDEX ix_memori_embedding_entity ON memori_fact_embedding (entity_id, space_id);

CREATE TABLE memori_fact_search (
    ordinal BIGINT NOT NULL AUTO_INCREMENT,
    fact_id VARCHAR(32) NOT NULL,
    entity_id VARCHAR(32) NOT NULL,
    tokens LONGTEXT NOT NULL,
    PRIMARY KEY (ordinal),
    CONSTRAINT uq_memori_search_fact UNIQUE (fact_id),
    FOREIGN KEY(fact_id) REFERENCES memori_entity_fact (id) ON DELETE CASCADE,
    FOREIGN KEY(entity_id) REFERENCES memori_entity (id) ON DELETE CASCADE
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_bin;

CREATE INDEX ix_memori_search_entity ON memori_fact_search (entity_id);

CREATE TABLE memori_knowledge_graph (
    id VARCHAR(32) NOT NULL,
    entity_id VARCHAR(32) NOT NULL,
    fact_id VARCHAR(32) NOT NULL,
    subject_id VARCHAR(32) NOT NULL,
    predicate_id VARCHAR(32) NOT NULL,
    object_id VARCHAR(32) NOT NULL,
    PRIMARY KEY (id),
    FOREIGN KEY(entity_id) REFERENCES memori_entity (id) ON DELETE CASCADE,
    FOREIGN KEY(fact_id) REFERENCES memori_entity_fact (id) ON DELETE CASCADE,
    FOREIGN KEY(subject_id) REFERENCES memori_node (id) ON DELETE CASCADE,
    FOREIGN KEY(predicate_id) REFERENCES memori_predicate (id) ON DELETE CASCADE,
    FOREIGN KEY(object_id) REFERENCES memori_node (id) ON DELETE CASCADE
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_bin;

CREATE INDEX ix_memori_graph_entity ON memori_knowledge_graph (entity_id);

CREATE INDEX ix_memori_graph_fact ON memori_knowledge_graph (fact_id);

CREATE TABLE memori_conversation_message (
    id VARCHAR(32) NOT NULL,
    entity_id VARCHAR(32) NOT NULL,
    session_id VARCHAR(32) NOT NULL,
    conversation_id VARCHAR(32) NOT NULL,
    position INTEGER NOT NULL,
    `role` VARCHAR(16) NOT NULL,
    name LONGTEXT,
    content LONGTEXT,
    native_id VARCHAR(255),
    digest VARCHAR(64) NOT NULL,
    tools LONGTEXT,
    payload LONGTEXT,
    source VARCHAR(16) NOT NULL,
    partial SMALLINT NOT NULL,
    archived SMALLINT NOT NULL,
    said_at BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (id),
    CONSTRAINT uq_memori_message_position UNIQUE (session_id, position),
    FOREIGN KEY(entity_id) REFERENCES memori_entity (id) ON DELETE CASCADE,
    FOREIGN KEY(session_id) REFERENCES memori_session (id) ON DELETE CASCADE,
    FOREIGN KEY(conversation_id) REFERENCES memori_conversation (id) ON DELETE CASCADE
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_bin;

CREATE INDEX ix_memori_message_conversation ON memori_conversation_message (conversation_id, position);

CREATE INDEX ix_memori_message_entity ON memori_conversation_message (entity_id, said_at);

CREATE INDEX ix_memori_message_native ON memori_conversation_message (session_id, native_id);

SELECT memori_session.id, memori_session.entity_id, memori_session.process_id, memori_session.external_id, memori_session.implicit, memori_session.message_count, memori_session.version, memori_session.created_at, memori_session.last_at, memori_session.last_digest
FROM memori_session
WHERE memori_session.id = %(session_key)s FOR UPDATE;

INSERT INTO memori_entity (id, namespace, external_id, revision, generation, created_at) VALUES (%(id)s, %(namespace)s, %(external_id)s, %(revision)s, %(generation)s, %(created_at)s) ON DUPLICATE KEY UPDATE id = memori_entity.id;

INSERT INTO memori_process (id, namespace, external_id, created_at) VALUES (%(id)s, %(namespace)s, %(external_id)s, %(created_at)s) ON DUPLICATE KEY UPDATE id = memori_process.id;

INSERT INTO memori_session (id, entity_id, process_id, external_id, implicit, message_count, version, created_at, last_at) VALUES (%(id)s, %(entity_id)s, %(process_id)s, %(external_id)s, %(implicit)s, %(message_count)s, %(version)s, %(created_at)s, %(last_at)s) ON DUPLICATE KEY UPDATE id = memori_session.id;

SELECT memori_conversation_message.native_id
FROM memori_conversation_message
WHERE memori_conversation_message.session_id = %(session_key)s AND memori_conversation_message.native_id IN (__[POSTCOMPILE_ids]);

SELECT memori_conversation.id, memori_conversation.external_id, memori_conversation.last_at
FROM memori_conversation
WHERE memori_conversation.session_id = %(session_key)s ORDER BY memori_conversation.last_at DESC, memori_conversation.id DESC
 LIMIT %(param_1)s;

INSERT INTO memori_conversation (id, entity_id, session_id, external_id, started_at, last_at) VALUES (%(id)s, %(entity_id)s, %(session_id)s, %(external_id)s, %(started_at)s, %(last_at)s);

INSERT INTO memori_conversation_message (id, entity_id, session_id, conversation_id, position, `role`, name, content, native_id, digest, tools, payload, source, partial, archived, said_at, created_at) VALUES (%(id)s, %(entity_id)s, %(session_id)s, %(conversation_id)s, %(position)s, %(role)s, %(name)s, %(content)s, %(native_id)s, %(digest)s, %(tools)s, %(payload)s, %(source)s, %(partial)s, %(archived)s, %(said_at)s, %(created_at)s);

UPDATE memori_session SET message_count=%(message_count)s, version=%(version)s, last_at=%(last_at)s, last_digest=%(last_digest)s WHERE memori_session.id = %(key)s;

UPDATE memori_conversation SET last_at=%(last_at)s WHERE memori_conversation.id = %(key)s;

INSERT INTO memori_augmentation_job (id, entity_id, session_id, first_position, last_position, state, attempts, next_attempt_at, created_at) VALUES (%(id)s, %(entity_id)s, %(session_id)s, %(first_position)s, %(last_position)s, %(state)s, %(attempts)s, %(next_attempt_at)s, %(created_at)s);

SELECT memori_conversation_message.digest, memori_conversation_message.native_id
FROM memori_conversation_message
WHERE memori_conversation_message.session_id = %(session_key)s ORDER BY memori_conversation_message.position DESC
 LIMIT %(resent)s;

INSERT INTO memori_conversation (id, entity_id, session_id, external_id, started_at, last_at) VALUES (%(id)s, %(entity_id)s, %(session_id)s, %(external_id)s, %(started_at)s, %(last_at)s) ON DUPLICATE KEY UPDATE id = memori_conversation.id;

SELECT memori_entity.id
FROM memori_entity
WHERE memori_entity.id = %(entity)s FOR UPDATE;

SELECT memori_session.id, memori_session.entity_id, memori_session.process_id, memori_session.external_id, memori_session.implicit, memori_session.message_count, memori_session.version, memori_session.created_at, memori_session.last_at, memori_session.last_digest
FROM memori_session
WHERE memori_session.entity_id = %(entity)s AND memori_session.process_id = %(process)s AND memori_session.last_digest IN (__[POSTCOMPILE_among]) ORDER BY memori_session.last_at DESC, memori_session.id DESC
 LIMIT %(param_1)s;

SELECT memori_session.id, memori_session.entity_id, memori_session.process_id, memori_session.external_id, memori_session.implicit, memori_session.message_count, memori_session.version, memori_session.created_at, memori_session.last_at, memori_session.last_digest
FROM memori_session
WHERE memori_session.entity_id = %(entity)s AND memori_session.process_id = %(process)s AND memori_session.implicit = %(implicit_1)s AND memori_session.last_at >= %(since)s ORDER BY memori_session.last_at DESC, memori_session.id DESC
 LIMIT %(param_1)s;

SELECT memori_conversation_message.id, memori_session.external_id AS session, memori_conversation.external_id AS conversation, memori_conversation_message.conversation_id, memori_conversation_message.position, memori_conversation_message.archived, memori_conversation_message.`role`, memori_conversation_message.name, memori_conversation_message.content AS content, memori_conversation_message.native_id, memori_conversation_message.tools, memori_conversation_message.payload, memori_conversation_message.source, memori_conversation_message.partial, memori_conversation_message.said_at
FROM memori_conversation_message INNER JOIN memori_session ON memori_session.id = memori_conversation_message.session_id INNER JOIN memori_conversation ON memori_conversation.id = memori_conversation_message.conversation_id
WHERE memori_conversation_message.entity_id = %(entity_id_1)s AND memori_conversation_message.archived = %(archived_1)s AND memori_session.id = %(id_1)s AND memori_conversation_message.position < %(position_1)s ORDER BY memori_conversation_message.position DESC
 LIMIT %(param_1)s;

SELECT memori_conversation.id, memori_conversation.external_id
FROM memori_conversation
WHERE memori_conversation.entity_id = %(entity_id_1)s AND (memori_conversation.id = %(id_1)s OR memori_conversation.external_id = %(external_id_1)s);

SELECT memori_conversation_message.id, memori_session.external_id AS session, memori_conversation.external_id AS conversation, memori_conversation_message.conversation_id, memori_conversation_message.position, memori_conversation_message.archived, memori_conversation_message.`role`, memori_conversation_message.name, memori_conversation_message.content AS content, memori_conversation_message.native_id, memori_conversation_message.tools, memori_conversation_message.payload, memori_conversation_message.source, memori_conversation_message.partial, memori_conversation_message.said_at
FROM memori_conversation_message INNER JOIN memori_session ON memori_session.id = memori_conversation_message.session_id INNER JOIN memori_conversation ON memori_conversation.id = memori_conversation_message.conversation_id
WHERE memori_conversation_message.entity_id = %(entity_id_1)s AND memori_conversation_message.archived = %(archived_1)s AND memori_session.id = %(id_1)s AND memori_conversation_message.conversation_id IN (__[POSTCOMPILE_conversation_id_1]) ORDER BY memori_conversation_message.position DESC;

SELECT memori_conversation.id, memori_conversation.entity_id, memori_conversation.session_id, memori_conversation.external_id, memori_conversation.summary, memori_conversation.started_at, memori_conversation.last_at, memori_session.external_id AS session, (SELECT count(*) AS count_1
FROM memori_conversation_message
WHERE memori_conversation_message.conversation_id = memori_conversation.id) AS message_count
FROM memori_conversation INNER JOIN memori_session ON memori_session.id = memori_conversation.session_id
WHERE memori_conversation.entity_id = %(entity_id_1)s AND memori_session.id = %(id_1)s ORDER BY memori_conversation.last_at DESC, memori_conversation.id DESC
 LIMIT %(param_1)s, %(param_2)s;

SELECT memori_augmentation_job.id
FROM memori_augmentation_job
WHERE memori_augmentation_job.state IN (__[POSTCOMPILE_state_1]) AND memori_augmentation_job.entity_id = %(entity_id_1)s AND (EXISTS (SELECT memori_session.id
FROM memori_session
WHERE memori_session.id = memori_augmentation_job.session_id AND memori_session.id = %(id_1)s)) ORDER BY memori_augmentation_job.created_at;

SELECT memori_augmentation_job.state, count(*) AS jobs, min(memori_augmentation_job.created_at) AS oldest
FROM memori_augmentation_job
WHERE memori_augmentation_job.entity_id = %(entity_id_1)s AND (EXISTS (SELECT memori_session.id
FROM memori_session
WHERE memori_session.id = memori_augmentation_job.session_id AND memori_session.id = %(id_1)s)) GROUP BY memori_augmentation_job.state;

SELECT memori_augmentation_job.last_error
FROM memori_augmentation_job
WHERE memori_augmentation_job.entity_id = %(entity_id_1)s AND (EXISTS (SELECT memori_session.id
FROM memori_session
WHERE memori_session.id = memori_augmentation_job.session_id AND memori_session.id = %(id_1)s)) AND memori_augmentation_job.last_error IS NOT NULL ORDER BY memori_augmentation_job.id DESC
 LIMIT %(param_1)s;

SELECT memori_augmentation_job.id
FROM memori_augmentation_job
WHERE memori_augmentation_job.state = %(state_1)s AND memori_augmentation_job.entity_id = %(entity_id_1)s AND (EXISTS (SELECT memori_session.id
FROM memori_session
WHERE memori_session.id = memori_augmentation_job.session_id AND memori_session.id = %(id_1)s));

SELECT memori_conversation_message.id, memori_session.external_id AS session, memori_conversation.external_id AS conversation, memori_conversation_message.conversation_id, memori_conversation_message.position, memori_conversation_message.archived, memori_conversation_message.`role`, memori_conversation_message.name, memori_conversation_message.content AS content, memori_conversation_message.native_id, memori_conversation_message.tools, memori_conversation_message.payload, memori_conversation_message.source, memori_conversation_message.partial, memori_conversation_message.said_at
FROM memori_conversation_message INNER JOIN memori_session ON memori_session.id = memori_conversation_message.session_id INNER JOIN memori_conversation ON memori_conversation.id = memori_conversation_message.conversation_id
WHERE memori_conversation_message.entity_id = %(entity_id_1)s AND memori_conversation_message.archived = %(archived_1)s AND memori_session.process_id = %(process_id_1)s AND memori_conversation_message.position < %(position_1)s ORDER BY memori_conversation_message.said_at DESC, memori_conversation_message.session_id DESC, memori_conversation_message.position DESC
 LIMIT %(param_1)s;

SELECT memori_conversation_message.id, memori_session.external_id AS session, memori_conversation.external_id AS conversation, memori_conversation_message.conversation_id, memori_conversation_message.position, memori_conversation_message.archived, memori_conversation_message.`role`, memori_conversation_message.name, memori_conversation_message.content AS content, memori_conversation_message.native_id, memori_conversation_message.tools, memori_conversation_message.payload, memori_conversation_message.source, memori_conversation_message.partial, memori_conversation_message.said_at
FROM memori_conversation_message INNER JOIN memori_session ON memori_session.id = memori_conversation_message.session_id INNER JOIN memori_conversation ON memori_conversation.id = memori_conversation_message.conversation_id
WHERE memori_conversation_message.entity_id = %(entity_id_1)s AND memori_conversation_message.archived = %(archived_1)s AND memori_session.process_id = %(process_id_1)s AND memori_conversation_message.conversation_id IN (__[POSTCOMPILE_conversation_id_1]) ORDER BY memori_conversation_message.said_at DESC, memori_conversation_message.session_id DESC, memori_conversation_message.position DESC;

SELECT memori_conversation.id, memori_conversation.entity_id, memori_conversation.session_id, memori_conversation.external_id, memori_conversation.summary, memori_conversation.started_at, memori_conversation.last_at, memori_session.external_id AS session, (SELECT count(*) AS count_1
FROM memori_conversation_message
WHERE memori_conversation_message.conversation_id = memori_conversation.id) AS message_count
FROM memori_conversation INNER JOIN memori_session ON memori_session.id = memori_conversation.session_id
WHERE memori_conversation.entity_id = %(entity_id_1)s AND memori_session.process_id = %(process_id_1)s ORDER BY memori_conversation.last_at DESC, memori_conversation.id DESC
 LIMIT %(param_1)s, %(param_2)s;

SELECT memori_augmentation_job.id
FROM memori_augmentation_job
WHERE memori_augmentation_job.state IN (__[POSTCOMPILE_state_1]) AND memori_augmentation_job.entity_id = %(entity_id_1)s AND (EXISTS (SELECT memori_session.id
FROM memori_session
WHERE memori_session.id = memori_augmentation_job.session_id AND memori_session.process_id = %(process_id_1)s)) ORDER BY memori_augmentation_job.created_at;

SELECT memori_augmentation_job.state, count(*) AS jobs, min(memori_augmentation_job.created_at) AS oldest
FROM memori_augmentation_job
WHERE memori_augmentation_job.entity_id = %(entity_id_1)s AND (EXISTS (SELECT memori_session.id
FROM memori_session
WHERE memori_session.id = memori_augmentation_job.session_id AND memori_session.process_id = %(process_id_1)s)) GROUP BY memori_augmentation_job.state;

SELECT memori_augmentation_job.last_error
FROM memori_augmentation_job
WHERE memori_augmentation_job.entity_id = %(entity_id_1)s AND (EXISTS (SELECT memori_session.id
FROM memori_session
WHERE memori_session.id = memori_augmentation_job.session_id AND memori_session.process_id = %(process_id_1)s)) AND memori_augmentation_job.last_error IS NOT NULL ORDER BY memori_augmentation_job.id DESC
 LIMIT %(param_1)s;

SELECT memori_augmentation_job.id
FROM memori_augmentation_job
WHERE memori_augmentation_job.state = %(state_1)s AND memori_augmentation_job.entity_id = %(entity_id_1)s AND (EXISTS (SELECT memori_session.id
FROM memori_session
WHERE memori_session.id = memori_augmentation_job.session_id AND memori_session.process_id = %(process_id_1)s));

SELECT memori_conversation_message.id, memori_session.external_id AS session, memori_conversation.external_id AS conversation, memori_conversation_message.conversation_id, memori_conversation_message.position, memori_conversation_message.archived, memori_conversation_message.`role`, memori_conversation_message.name, memori_conversation_message.content AS content, memori_conversation_message.native_id, memori_conversation_message.tools, memori_conversation_message.payload, memori_conversation_message.source, memori_conversation_message.partial, memori_conversation_message.said_at
FROM memori_conversation_message INNER JOIN memori_session ON memori_session.id = memori_conversation_message.session_id INNER JOIN memori_conversation ON memori_conversation.id = memori_conversation_message.conversation_id
WHERE memori_conversation_message.entity_id = %(entity_id_1)s AND memori_conversation_message.archived = %(archived_1)s AND memori_conversation_message.position < %(position_1)s ORDER BY memori_conversation_message.said_at DESC, memori_conversation_message.session_id DESC, memori_conversation_message.position DESC
 LIMIT %(param_1)s;

SELECT memori_conversation_message.id, memori_session.external_id AS session, memori_conversation.external_id AS conversation, memori_conversation_message.conversation_id, memori_conversation_message.position, memori_conversation_message.archived, memori_conversation_message.`role`, memori_conversation_message.name, memori_conversation_message.content AS content, memori_conversation_message.native_id, memori_conversation_message.tools, memori_conversation_message.payload, memori_conversation_message.source, memori_conversation_message.partial, memori_conversation_message.said_at
FROM memori_conversation_message INNER JOIN memori_session ON memori_session.id = memori_conversation_message.session_id INNER JOIN memori_conversation ON memori_conversation.id = memori_conversation_message.conversation_id
WHERE memori_conversation_message.entity_id = %(entity_id_1)s AND memori_conversation_message.archived = %(archived_1)s AND memori_conversation_message.conversation_id IN (__[POSTCOMPILE_conversation_id_1]) ORDER BY memori_conversation_message.said_at DESC, memori_conversation_message.session_id DESC, memori_conversation_message.position DESC;

SELECT memori_conversation.id, memori_conversation.entity_id, memori_conversation.session_id, memori_conversation.external_id, memori_conversation.summary, memori_conversation.started_at, memori_conversation.last_at, memori_session.external_id AS session, (SELECT count(*) AS count_1
FROM memori_conversation_message
WHERE memori_conversation_message.conversation_id = memori_conversation.id) AS message_count
FROM memori_conversation INNER JOIN memori_session ON memori_session.id = memori_conversation.session_id
WHERE memori_conversation.entity_id = %(entity_id_1)s ORDER BY memori_conversation.last_at DESC, memori_conversation.id DESC
 LIMIT %(param_1)s, %(param_2)s;

SELECT memori_augmentation_job.id
FROM memori_augmentation_job
WHERE memori_augmentation_job.state IN (__[POSTCOMPILE_state_1]) AND memori_augmentation_job.entity_id = %(entity_id_1)s ORDER BY memori_augmentation_job.created_at;

SELECT memori_augmentation_job.state, count(*) AS jobs, min(memori_augmentation_job.created_at) AS oldest
FROM memori_augmentation_job
WHERE memori_augmentation_job.entity_id = %(entity_id_1)s GROUP BY memori_augmentation_job.state;

SELECT memori_augmentation_job.last_error
FROM memori_augmentation_job
WHERE memori_augmentation_job.entity_id = %(entity_id_1)s AND memori_augmentation_job.last_error IS NOT NULL ORDER BY memori_augmentation_job.id DESC
 LIMIT %(param_1)s;

SELECT memori_augmentation_job.id
FROM memori_augmentation_job
WHERE memori_augmentation_job.state = %(state_1)s AND memori_augmentation_job.entity_id = %(entity_id_1)s;

SELECT memori_augmentation_job.id
FROM memori_augmentation_job
WHERE memori_augmentation_job.state IN (__[POSTCOMPILE_state_1]) ORDER BY memori_augmentation_job.created_at;

SELECT memori_augmentation_job.id
FROM memori_augmentation_job
WHERE memori_augmentation_job.state = %(state_1)s AND memori_augmentation_job.next_attempt_at <= %(next_attempt_at_1)s OR memori_augmentation_job.state = %(state_2)s AND memori_augmentation_job.lease_until <= %(lease_until_1)s
 LIMIT %(param_1)s;

SELECT memori_augmentation_job.id, memori_augmentation_job.entity_id
FROM memori_augmentation_job
WHERE memori_augmentation_job.state = %(state_1)s AND memori_augmentation_job.next_attempt_at <= %(next_attempt_at_1)s OR memori_augmentation_job.state = %(state_2)s AND memori_augmentation_job.lease_until <= %(lease_until_1)s ORDER BY memori_augmentation_job.created_at, memori_augmentation_job.id
 LIMIT %(param_1)s;

SELECT memori_augmentation_job.id
FROM memori_augmentation_job
WHERE memori_augmentation_job.id IN (__[POSTCOMPILE_id_1]) AND (memori_augmentation_job.state = %(state_1)s AND memori_augmentation_job.next_attempt_at <= %(next_attempt_at_1)s OR memori_augmentation_job.state = %(state_2)s AND memori_augmentation_job.lease_until <= %(lease_until_1)s) FOR UPDATE;

UPDATE memori_augmentation_job SET state=%(state)s, attempts=(memori_augmentation_job.attempts + %(attempts_1)s), lease_token=%(lease_token)s, lease_until=%(lease_until)s WHERE memori_augmentation_job.id IN (__[POSTCOMPILE_id_1]) AND (memori_augmentation_job.state = %(state_1)s AND memori_augmentation_job.next_attempt_at <= %(next_attempt_at_1)s OR memori_augmentation_job.state = %(state_2)s AND memori_augmentation_job.lease_until <= %(lease_until_1)s);

SELECT memori_augmentation_job.id, memori_augmentation_job.entity_id, memori_augmentation_job.session_id, memori_augmentation_job.first_position, memori_augmentation_job.last_position, memori_augmentation_job.state, memori_augmentation_job.attempts, memori_augmentation_job.lease_token, memori_augmentation_job.lease_until, memori_augmentation_job.next_attempt_at, memori_augmentation_job.last_error, memori_augmentation_job.created_at, memori_augmentation_job.finished_at, memori_entity.namespace, memori_entity.external_id AS entity, memori_process.external_id AS process, memori_session.external_id AS session
FROM memori_augmentation_job INNER JOIN memori_session ON memori_session.id = memori_augmentation_job.session_id INNER JOIN memori_entity ON memori_entity.id = memori_session.entity_id LEFT OUTER JOIN memori_process ON memori_process.id = memori_session.process_id
WHERE memori_augmentation_job.id IN (__[POSTCOMPILE_id_1]) AND memori_augmentation_job.lease_token = %(lease_token_1)s ORDER BY memori_augmentation_job.created_at, memori_augmentation_job.id;

SELECT memori_conversation_message.id, %(param_1)s AS session, NULL AS conversation, memori_conversation_message.conversation_id, memori_conversation_message.position, memori_conversation_message.archived, memori_conversation_message.`role`, memori_conversation_message.name, memori_conversation_message.content AS content, memori_conversation_message.native_id, memori_conversation_message.tools, memori_conversation_message.payload, memori_conversation_message.source, memori_conversation_message.partial, memori_conversation_message.said_at
FROM memori_conversation_message
WHERE memori_conversation_message.session_id = %(session_id_1)s AND memori_conversation_message.entity_id = %(entity_id_1)s AND memori_conversation_message.position <= %(position_1)s ORDER BY memori_conversation_message.position DESC
 LIMIT %(param_2)s;

UPDATE memori_augmentation_job SET lease_until=%(lease_until)s WHERE memori_augmentation_job.id = %(id_1)s AND memori_augmentation_job.state = %(state_1)s AND memori_augmentation_job.lease_token = %(lease_token_1)s;

UPDATE memori_augmentation_job SET state=%(state)s, lease_token=%(lease_token)s, lease_until=%(lease_until)s, next_attempt_at=%(next_attempt_at)s, last_error=%(last_error)s, finished_at=%(finished_at)s WHERE memori_augmentation_job.id = %(id_1)s AND memori_augmentation_job.state = %(state_1)s AND memori_augmentation_job.lease_token = %(lease_token_1)s;

UPDATE memori_augmentation_job SET state=%(state)s, attempts=%(attempts)s, next_attempt_at=%(next_attempt_at)s, finished_at=%(finished_at)s WHERE memori_augmentation_job.id IN (__[POSTCOMPILE_id_1]) AND memori_augmentation_job.state = %(state_1)s;

SELECT memori_entity.revision, memori_entity.generation, memori_embedding_space.embedder, memori_embedding_space.model, memori_embedding_space.dimension
FROM memori_entity LEFT OUTER JOIN memori_embedding_space ON memori_embedding_space.id = memori_entity.active_space
WHERE memori_entity.id = %(entity)s;

UPDATE memori_augmentation_job SET state=%(state)s, lease_token=%(lease_token)s, lease_until=%(lease_until)s, last_error=%(last_error)s, finished_at=%(finished_at)s WHERE memori_augmentation_job.id = %(id_1)s AND memori_augmentation_job.state = %(state_1)s AND memori_augmentation_job.lease_token = %(lease_token_1)s;

SELECT memori_entity.revision, memori_entity.generation, memori_entity.active_space
FROM memori_entity
WHERE memori_entity.id = %(id_1)s FOR UPDATE;

INSERT INTO memori_embedding_space (id, embedder, model, dimension) VALUES (%(id)s, %(embedder)s, %(model)s, %(dimension)s) ON DUPLICATE KEY UPDATE id = memori_embedding_space.id;

UPDATE memori_entity SET revision=%(revision)s, active_space=%(active_space)s WHERE memori_entity.id = %(id_1)s;

INSERT INTO memori_entity_fact (id, entity_id, process_id, session_id, position, message_id, kind, status, content, search_text, fingerprint, slot, speaker, source, importance, mentions, tier, extractor, said_at, valid_from, valid_to, expires_at, created_at, retired_at, superseded_by, revision) VALUES (%(id)s, %(entity_id)s, %(process_id)s, %(session_id)s, %(position)s, %(message_id)s, %(kind)s, %(status)s, %(content)s, %(search_text)s, %(fingerprint)s, %(slot)s, %(speaker)s, %(source)s, %(importance)s, %(mentions)s, %(tier)s, %(extractor)s, %(said_at)s, %(valid_from)s, %(valid_to)s, %(expires_at)s, %(created_at)s, %(retired_at)s, %(superseded_by)s, %(revision)s);

INSERT INTO memori_fact_embedding (fact_id, space_id, passage, entity_id, vector, window_ids) VALUES (%(fact_id)s, %(space_id)s, %(passage)s, %(entity_id)s, %(vector)s, %(window_ids)s);

INSERT INTO memori_node (id, entity_id, name, type) VALUES (%(id)s, %(entity_id)s, %(name)s, %(type)s) ON DUPLICATE KEY UPDATE id = memori_node.id;

INSERT INTO memori_predicate (id, entity_id, name) VALUES (%(id)s, %(entity_id)s, %(name)s) ON DUPLICATE KEY UPDATE id = memori_predicate.id;

INSERT INTO memori_knowledge_graph (id, entity_id, fact_id, subject_id, predicate_id, object_id) VALUES (%(id)s, %(entity_id)s, %(fact_id)s, %(subject_id)s, %(predicate_id)s, %(object_id)s);

INSERT INTO memori_fact_search (fact_id, entity_id, tokens) VALUES (%(fact_id)s, %(entity_id)s, %(tokens)s);

SELECT memori_augmentation_job.id, memori_augmentation_job.state
FROM memori_augmentation_job
WHERE memori_augmentation_job.id IN (__[POSTCOMPILE_id_1]);

UPDATE memori_entity_fact SET mentions=(memori_entity_fact.mentions + %(mentions_1)s), revision=%(revision)s WHERE memori_entity_fact.entity_id = %(entity_id_1)s AND memori_entity_fact.id IN (__[POSTCOMPILE_id_1]);

INSERT INTO memori_entity_fact_mention (fact_id, message_id, entity_id) VALUES (%(fact_id)s, %(message_id)s, %(entity_id)s) ON DUPLICATE KEY UPDATE fact_id = memori_entity_fact_mention.fact_id;

SELECT memori_entity_fact.id, memori_entity_fact.entity_id, memori_entity_fact.process_id, memori_entity_fact.session_id, memori_entity_fact.position, memori_entity_fact.message_id, memori_entity_fact.kind, memori_entity_fact.status, memori_entity_fact.content, memori_entity_fact.search_text, memori_entity_fact.fingerprint, memori_entity_fact.slot, memori_entity_fact.speaker, memori_entity_fact.source, memori_entity_fact.importance, memori_entity_fact.mentions, memori_entity_fact.tier, memori_entity_fact.extractor, memori_entity_fact.said_at, memori_entity_fact.valid_from, memori_entity_fact.valid_to, memori_entity_fact.expires_at, memori_entity_fact.created_at, memori_entity_fact.retired_at, memori_entity_fact.superseded_by, memori_entity_fact.revision, memori_session.external_id AS session
FROM memori_entity_fact LEFT OUTER JOIN memori_session ON memori_session.id = memori_entity_fact.session_id INNER JOIN (SELECT anon_1.id AS id
FROM (SELECT memori_entity_fact.id AS id
FROM memori_entity_fact
WHERE memori_entity_fact.entity_id = %(entity_id_1)s AND (memori_entity_fact.valid_from <= %(valid_from_1)s OR memori_entity_fact.valid_from IS NULL AND coalesce(memori_entity_fact.said_at, memori_entity_fact.created_at) <= %(coalesce_1)s) AND (memori_entity_fact.valid_to IS NULL OR memori_entity_fact.valid_to > %(valid_to_1)s) AND memori_entity_fact.process_id = %(process_id_1)s AND memori_entity_fact.status = %(status_1)s AND memori_entity_fact.kind = %(kind_1)s ORDER BY memori_entity_fact.created_at DESC, memori_entity_fact.position DESC, memori_entity_fact.id DESC
 LIMIT %(param_1)s) AS anon_1 UNION ALL SELECT anon_2.id AS id
FROM (SELECT memori_entity_fact.id AS id
FROM memori_entity_fact
WHERE memori_entity_fact.entity_id = %(entity_id_1)s AND (memori_entity_fact.valid_from <= %(valid_from_1)s OR memori_entity_fact.valid_from IS NULL AND coalesce(memori_entity_fact.said_at, memori_entity_fact.created_at) <= %(coalesce_1)s) AND (memori_entity_fact.valid_to IS NULL OR memori_entity_fact.valid_to > %(valid_to_1)s) AND memori_entity_fact.process_id = %(process_id_1)s AND memori_entity_fact.status = %(status_2)s AND memori_entity_fact.kind = %(kind_2)s ORDER BY memori_entity_fact.created_at DESC, memori_entity_fact.position DESC, memori_entity_fact.id DESC
 LIMIT %(param_2)s) AS anon_2) AS page ON page.id = memori_entity_fact.id ORDER BY memori_entity_fact.created_at DESC, memori_entity_fact.position DESC, memori_entity_fact.id DESC
 LIMIT %(param_3)s, %(param_4)s;

SELECT memori_entity_fact.id, memori_entity_fact.entity_id, memori_entity_fact.process_id, memori_entity_fact.session_id, memori_entity_fact.position, memori_entity_fact.message_id, memori_entity_fact.kind, memori_entity_fact.status, memori_entity_fact.content, memori_entity_fact.search_text, memori_entity_fact.fingerprint, memori_entity_fact.slot, memori_entity_fact.speaker, memori_entity_fact.source, memori_entity_fact.importance, memori_entity_fact.mentions, memori_entity_fact.tier, memori_entity_fact.extractor, memori_entity_fact.said_at, memori_entity_fact.valid_from, memori_entity_fact.valid_to, memori_entity_fact.expires_at, memori_entity_fact.created_at, memori_entity_fact.retired_at, memori_entity_fact.superseded_by, memori_entity_fact.revision, memori_session.external_id AS session
FROM memori_entity_fact LEFT OUTER JOIN memori_session ON memori_session.id = memori_entity_fact.session_id
WHERE coalesce(memori_entity_fact.entity_id, memori_entity_fact.entity_id) = %(entity)s AND memori_entity_fact.id IN (__[POSTCOMPILE_among]) ORDER BY memori_entity_fact.created_at DESC, memori_entity_fact.position DESC, memori_entity_fact.id DESC;

SELECT memori_entity_fact.id, memori_entity_fact.entity_id, memori_entity_fact.process_id, memori_entity_fact.session_id, memori_entity_fact.position, memori_entity_fact.message_id, memori_entity_fact.kind, memori_entity_fact.status, memori_entity_fact.content, memori_entity_fact.search_text, memori_entity_fact.fingerprint, memori_entity_fact.slot, memori_entity_fact.speaker, memori_entity_fact.source, memori_entity_fact.importance, memori_entity_fact.mentions, memori_entity_fact.tier, memori_entity_fact.extractor, memori_entity_fact.said_at, memori_entity_fact.valid_from, memori_entity_fact.valid_to, memori_entity_fact.expires_at, memori_entity_fact.created_at, memori_entity_fact.retired_at, memori_entity_fact.superseded_by, memori_entity_fact.revision, memori_session.external_id AS session
FROM memori_entity_fact LEFT OUTER JOIN memori_session ON memori_session.id = memori_entity_fact.session_id
WHERE memori_entity_fact.entity_id = %(entity_id_1)s AND coalesce(memori_entity_fact.status, memori_entity_fact.status) IN (__[POSTCOMPILE_coalesce_1]) AND memori_entity_fact.slot IN (__[POSTCOMPILE_among_1]) ORDER BY memori_entity_fact.created_at DESC, memori_entity_fact.position DESC, memori_entity_fact.id DESC;

SELECT memori_entity_fact.id, memori_entity_fact.entity_id, memori_entity_fact.process_id, memori_entity_fact.session_id, memori_entity_fact.position, memori_entity_fact.message_id, memori_entity_fact.kind, memori_entity_fact.status, memori_entity_fact.content, memori_entity_fact.search_text, memori_entity_fact.fingerprint, memori_entity_fact.slot, memori_entity_fact.speaker, memori_entity_fact.source, memori_entity_fact.importance, memori_entity_fact.mentions, memori_entity_fact.tier, memori_entity_fact.extractor, memori_entity_fact.said_at, memori_entity_fact.valid_from, memori_entity_fact.valid_to, memori_entity_fact.expires_at, memori_entity_fact.created_at, memori_entity_fact.retired_at, memori_entity_fact.superseded_by, memori_entity_fact.revision, memori_session.external_id AS session
FROM memori_entity_fact LEFT OUTER JOIN memori_session ON memori_session.id = memori_entity_fact.session_id
WHERE memori_entity_fact.entity_id = %(entity_id_1)s AND coalesce(memori_entity_fact.status, memori_entity_fact.status) IN (__[POSTCOMPILE_coalesce_1]) AND memori_entity_fact.fingerprint IN (__[POSTCOMPILE_among_1]) ORDER BY memori_entity_fact.created_at DESC, memori_entity_fact.position DESC, memori_entity_fact.id DESC;

SELECT memori_fact_embedding.fact_id, memori_fact_embedding.vector
FROM memori_fact_embedding INNER JOIN memori_entity_fact ON memori_entity_fact.id = memori_fact_embedding.fact_id
WHERE memori_entity_fact.entity_id = %(entity)s AND memori_entity_fact.revision > %(after)s AND memori_entity_fact.revision <= %(until)s AND (memori_entity_fact.status = %(status_1)s OR memori_entity_fact.status = %(status_2)s) AND memori_fact_embedding.space_id = %(space)s ORDER BY memori_fact_embedding.fact_id, memori_fact_embedding.passage;

SELECT memori_knowledge_graph.fact_id, subject.name AS subject_name, target.name AS target_name
FROM memori_knowledge_graph INNER JOIN memori_entity_fact ON memori_entity_fact.id = memori_knowledge_graph.fact_id INNER JOIN memori_node AS subject ON subject.id = memori_knowledge_graph.subject_id INNER JOIN memori_node AS target ON target.id = memori_knowledge_graph.object_id
WHERE memori_entity_fact.entity_id = %(entity)s AND memori_entity_fact.revision > %(after)s AND memori_entity_fact.revision <= %(until)s AND (memori_entity_fact.status = %(status_1)s OR memori_entity_fact.status = %(status_2)s);

SELECT memori_entity_fact.id, memori_entity_fact.search_text, memori_entity_fact.kind, memori_entity_fact.status, memori_entity_fact.speaker, memori_entity_fact.session_id, memori_entity_fact.position, memori_entity_fact.said_at, memori_entity_fact.valid_from, memori_entity_fact.valid_to, memori_entity_fact.importance, memori_entity_fact.mentions
FROM memori_entity_fact
WHERE memori_entity_fact.entity_id = %(entity)s AND memori_entity_fact.revision > %(after)s AND memori_entity_fact.revision <= %(until)s AND (memori_entity_fact.status = %(status_1)s OR memori_entity_fact.status = %(status_2)s) ORDER BY memori_entity_fact.revision, memori_entity_fact.id;

SELECT memori_fact_embedding.fact_id, memori_fact_embedding.vector
FROM memori_fact_embedding INNER JOIN memori_entity_fact ON memori_entity_fact.id = memori_fact_embedding.fact_id
WHERE memori_entity_fact.entity_id = %(entity)s AND memori_entity_fact.revision > %(after)s AND memori_entity_fact.revision <= %(until)s AND memori_fact_embedding.space_id = %(space)s ORDER BY memori_fact_embedding.fact_id, memori_fact_embedding.passage;

SELECT memori_knowledge_graph.fact_id, subject.name AS subject_name, target.name AS target_name
FROM memori_knowledge_graph INNER JOIN memori_entity_fact ON memori_entity_fact.id = memori_knowledge_graph.fact_id INNER JOIN memori_node AS subject ON subject.id = memori_knowledge_graph.subject_id INNER JOIN memori_node AS target ON target.id = memori_knowledge_graph.object_id
WHERE memori_entity_fact.entity_id = %(entity)s AND memori_entity_fact.revision > %(after)s AND memori_entity_fact.revision <= %(until)s;

SELECT memori_entity_fact.id, memori_entity_fact.search_text, memori_entity_fact.kind, memori_entity_fact.status, memori_entity_fact.speaker, memori_entity_fact.session_id, memori_entity_fact.position, memori_entity_fact.said_at, memori_entity_fact.valid_from, memori_entity_fact.valid_to, memori_entity_fact.importance, memori_entity_fact.mentions
FROM memori_entity_fact
WHERE memori_entity_fact.entity_id = %(entity)s AND memori_entity_fact.revision > %(after)s AND memori_entity_fact.revision <= %(until)s ORDER BY memori_entity_fact.revision, memori_entity_fact.id;

SELECT named.fact_id, (SELECT memori_entity_fact.search_text
FROM memori_entity_fact
WHERE memori_entity_fact.id = named.fact_id AND coalesce(memori_entity_fact.entity_id, memori_entity_fact.entity_id) = %(entity)s AND coalesce(memori_entity_fact.status, memori_entity_fact.status) = %(coalesce_1)s) AS text
FROM (SELECT best.matched AS matched, best.ordinal AS ordinal, (SELECT memori_fact_search.fact_id
FROM memori_fact_search
WHERE memori_fact_search.ordinal = best.ordinal) AS fact_id
FROM (SELECT found.ordinal AS ordinal, count(*) AS matched
FROM (SELECT memori_fact_search.ordinal AS ordinal
FROM memori_fact_search
WHERE memori_fact_search.entity_id = %(entity)s AND memori_fact_search.tokens LIKE %(word0)s UNION ALL SELECT memori_fact_search.ordinal AS ordinal
FROM memori_fact_search
WHERE memori_fact_search.entity_id = %(entity)s AND memori_fact_search.tokens LIKE %(word1)s) AS found GROUP BY found.ordinal ORDER BY matched DESC, found.ordinal DESC
 LIMIT %(limit)s) AS best) AS named ORDER BY named.matched DESC, named.ordinal DESC;

SELECT memori_knowledge_graph.fact_id, subject.name AS subject_name, subject.type AS subject_type, memori_predicate.name AS predicate_name, target.name AS target_name, target.type AS target_type
FROM memori_knowledge_graph INNER JOIN memori_entity_fact ON memori_entity_fact.id = memori_knowledge_graph.fact_id INNER JOIN memori_node AS subject ON subject.id = memori_knowledge_graph.subject_id INNER JOIN memori_predicate ON memori_predicate.id = memori_knowledge_graph.predicate_id INNER JOIN memori_node AS target ON target.id = memori_knowledge_graph.object_id
WHERE memori_knowledge_graph.entity_id = %(entity_id_1)s AND memori_entity_fact.status = %(status_1)s ORDER BY memori_knowledge_graph.id
 LIMIT %(param_1)s;

SELECT memori_entity_fact.id, memori_entity_fact.entity_id, memori_entity_fact.process_id, memori_entity_fact.session_id, memori_entity_fact.position, memori_entity_fact.message_id, memori_entity_fact.kind, memori_entity_fact.status, memori_entity_fact.content, memori_entity_fact.search_text, memori_entity_fact.fingerprint, memori_entity_fact.slot, memori_entity_fact.speaker, memori_entity_fact.source, memori_entity_fact.importance, memori_entity_fact.mentions, memori_entity_fact.tier, memori_entity_fact.extractor, memori_entity_fact.said_at, memori_entity_fact.valid_from, memori_entity_fact.valid_to, memori_entity_fact.expires_at, memori_entity_fact.created_at, memori_entity_fact.retired_at, memori_entity_fact.superseded_by, memori_entity_fact.revision, memori_session.external_id AS session
FROM memori_entity_fact LEFT OUTER JOIN memori_session ON memori_session.id = memori_entity_fact.session_id
WHERE coalesce(memori_entity_fact.entity_id, memori_entity_fact.entity_id) = %(coalesce_1)s AND memori_entity_fact.id IN (__[POSTCOMPILE_among_1]) ORDER BY memori_entity_fact.created_at DESC, memori_entity_fact.position DESC, memori_entity_fact.id DESC;

UPDATE memori_entity SET revision=%(revision)s WHERE memori_entity.id = %(id_1)s;

UPDATE memori_entity_fact SET status=%(new_status)s, valid_to=coalesce(%(until)s, memori_entity_fact.valid_to), retired_at=coalesce(memori_entity_fact.retired_at, %(coalesce_1)s), superseded_by=%(successor)s, revision=%(revision)s WHERE memori_entity_fact.entity_id = %(entity_id_1)s AND memori_entity_fact.id = %(retired_id)s;

DELETE FROM memori_fact_search WHERE memori_fact_search.entity_id = %(entity_id_1)s AND memori_fact_search.fact_id IN (__[POSTCOMPILE_fact_id_1]);

SELECT memori_entity_fact.id
FROM memori_entity_fact
WHERE coalesce(memori_entity_fact.entity_id, memori_entity_fact.entity_id) = %(coalesce_1)s AND memori_entity_fact.id IN (__[POSTCOMPILE_id_1]) AND memori_entity_fact.kind = %(kind_1)s;

SELECT DISTINCT memori_fact_embedding.fact_id
FROM memori_fact_embedding
WHERE memori_fact_embedding.entity_id = %(entity_id_1)s AND (memori_fact_embedding.window_ids LIKE concat('%%', %(window_ids_1)s, '%%'));

DELETE FROM memori_fact_embedding WHERE memori_fact_embedding.entity_id = %(entity_id_1)s AND memori_fact_embedding.fact_id IN (__[POSTCOMPILE_fact_id_1]);

UPDATE memori_entity_fact SET revision=%(revision)s WHERE memori_entity_fact.entity_id = %(entity_id_1)s AND memori_entity_fact.id IN (__[POSTCOMPILE_id_1]);

SELECT memori_entity.id, memori_entity.namespace, memori_entity.external_id
FROM memori_entity
WHERE memori_entity.namespace = %(namespace_1)s AND memori_entity.id > %(id_1)s ORDER BY memori_entity.id
 LIMIT %(param_1)s;

SELECT memori_session.id, memori_session.external_id
FROM memori_session
WHERE memori_session.entity_id = %(entity_id_1)s AND memori_session.external_id = %(external_id_1)s;

SELECT memori_conversation_message.id, memori_conversation_message.native_id, memori_session.process_id
FROM memori_conversation_message INNER JOIN memori_session ON memori_session.id = memori_conversation_message.session_id
WHERE memori_conversation_message.entity_id = %(entity_id_1)s AND memori_conversation_message.id = %(id_1)s ORDER BY memori_conversation_message.session_id, memori_conversation_message.position;

SELECT memori_conversation_message.id, memori_conversation_message.native_id, memori_session.process_id
FROM memori_conversation_message INNER JOIN memori_session ON memori_session.id = memori_conversation_message.session_id
WHERE memori_conversation_message.entity_id = %(entity_id_1)s AND memori_conversation_message.session_id IN (SELECT memori_session.id
FROM memori_session
WHERE memori_session.entity_id = %(entity_id_2)s) AND memori_conversation_message.native_id = %(native_id_1)s ORDER BY memori_conversation_message.session_id, memori_conversation_message.position;

SELECT memori_conversation_message.id, memori_conversation_message.native_id, memori_session.process_id
FROM memori_conversation_message INNER JOIN memori_session ON memori_session.id = memori_conversation_message.session_id
WHERE memori_conversation_message.entity_id = %(entity_id_1)s AND memori_conversation_message.conversation_id IN (__[POSTCOMPILE_conversation_id_1]) ORDER BY memori_conversation_message.session_id, memori_conversation_message.position;

SELECT memori_conversation_message.id, memori_conversation_message.native_id, memori_session.process_id
FROM memori_conversation_message INNER JOIN memori_session ON memori_session.id = memori_conversation_message.session_id
WHERE memori_conversation_message.entity_id = %(entity_id_1)s AND memori_conversation_message.session_id IN (__[POSTCOMPILE_session_id_1]) ORDER BY memori_conversation_message.session_id, memori_conversation_message.position;

SELECT memori_entity_fact_mention.fact_id, memori_entity_fact_mention.message_id, memori_conversation_message.said_at
FROM memori_entity_fact_mention LEFT OUTER JOIN memori_conversation_message ON memori_conversation_message.id = memori_entity_fact_mention.message_id
WHERE memori_entity_fact_mention.entity_id = %(entity_id_1)s AND memori_entity_fact_mention.fact_id IN (__[POSTCOMPILE_fact_id_1]) ORDER BY memori_entity_fact_mention.fact_id, memori_entity_fact_mention.message_id;

SELECT memori_entity_fact_mention.fact_id, memori_entity_fact_mention.message_id, memori_conversation_message.said_at
FROM memori_entity_fact_mention LEFT OUTER JOIN memori_conversation_message ON memori_conversation_message.id = memori_entity_fact_mention.message_id
WHERE memori_entity_fact_mention.entity_id = %(entity_id_1)s AND memori_entity_fact_mention.message_id IN (__[POSTCOMPILE_message_id_1]) ORDER BY memori_entity_fact_mention.fact_id, memori_entity_fact_mention.message_id;

SELECT memori_entity_fact.id, memori_entity_fact.entity_id, memori_entity_fact.process_id, memori_entity_fact.session_id, memori_entity_fact.position, memori_entity_fact.message_id, memori_entity_fact.kind, memori_entity_fact.status, memori_entity_fact.content, memori_entity_fact.search_text, memori_entity_fact.fingerprint, memori_entity_fact.slot, memori_entity_fact.speaker, memori_entity_fact.source, memori_entity_fact.importance, memori_entity_fact.mentions, memori_entity_fact.tier, memori_entity_fact.extractor, memori_entity_fact.said_at, memori_entity_fact.valid_from, memori_entity_fact.valid_to, memori_entity_fact.expires_at, memori_entity_fact.created_at, memori_entity_fact.retired_at, memori_entity_fact.superseded_by, memori_entity_fact.revision, memori_session.external_id AS session
FROM memori_entity_fact LEFT OUTER JOIN memori_session ON memori_session.id = memori_entity_fact.session_id
WHERE memori_entity_fact.entity_id = %(entity_id_1)s AND coalesce(memori_entity_fact.status, memori_entity_fact.status) IN (__[POSTCOMPILE_coalesce_1]) AND memori_entity_fact.superseded_by IN (__[POSTCOMPILE_among_1]) ORDER BY memori_entity_fact.created_at DESC, memori_entity_fact.position DESC, memori_entity_fact.id DESC;

UPDATE memori_conversation SET summary=%(summary)s WHERE memori_conversation.id = (SELECT memori_conversation_message.conversation_id
FROM memori_conversation_message
WHERE memori_conversation_message.id = %(id_1)s AND memori_conversation_message.entity_id = %(entity_id_1)s) AND memori_conversation.entity_id = %(entity_id_2)s;

SELECT memori_process_attribute.id
FROM memori_process_attribute
WHERE memori_process_attribute.id IN (__[POSTCOMPILE_id_1]);

INSERT INTO memori_process_attribute (id, process_id, entity_id, content, fingerprint, mentions, created_at, message_id, source, extractor) VALUES (%(id)s, %(process_id)s, %(entity_id)s, %(content)s, %(fingerprint)s, %(mentions)s, %(created_at)s, %(message_id)s, %(source)s, %(extractor)s) ON DUPLICATE KEY UPDATE id = memori_process_attribute.id;

UPDATE memori_process_attribute SET mentions=(memori_process_attribute.mentions + %(mentions_1)s) WHERE memori_process_attribute.id IN (__[POSTCOMPILE_id_1]) AND memori_process_attribute.entity_id = %(entity_id_1)s;

SELECT memori_process_attribute.id, memori_process_attribute.process_id, memori_process_attribute.entity_id, memori_process_attribute.content, memori_process_attribute.fingerprint, memori_process_attribute.mentions, memori_process_attribute.created_at, memori_process_attribute.message_id, memori_process_attribute.source, memori_process_attribute.extractor
FROM memori_process_attribute
WHERE memori_process_attribute.entity_id = %(entity_id_1)s AND memori_process_attribute.process_id = %(process_id_1)s ORDER BY memori_process_attribute.created_at DESC, memori_process_attribute.id
 LIMIT %(param_1)s;

UPDATE memori_entity_fact SET status=%(status)s, valid_to=%(until)s, retired_at=%(retired_at)s, superseded_by=%(superseded_by)s, revision=%(revision)s WHERE memori_entity_fact.entity_id = %(entity_id_1)s AND memori_entity_fact.id = %(restored_id)s;

SELECT memori_entity_fact.id, memori_entity_fact.entity_id, memori_entity_fact.process_id, memori_entity_fact.session_id, memori_entity_fact.position, memori_entity_fact.message_id, memori_entity_fact.kind, memori_entity_fact.status, memori_entity_fact.content, memori_entity_fact.search_text, memori_entity_fact.fingerprint, memori_entity_fact.slot, memori_entity_fact.speaker, memori_entity_fact.source, memori_entity_fact.importance, memori_entity_fact.mentions, memori_entity_fact.tier, memori_entity_fact.extractor, memori_entity_fact.said_at, memori_entity_fact.valid_from, memori_entity_fact.valid_to, memori_entity_fact.expires_at, memori_entity_fact.created_at, memori_entity_fact.retired_at, memori_entity_fact.superseded_by, memori_entity_fact.revision
FROM memori_entity_fact
WHERE memori_entity_fact.entity_id = %(entity_id_1)s AND memori_entity_fact.id IN (__[POSTCOMPILE_id_1]);

DELETE FROM memori_entity_fact_mention WHERE memori_entity_fact_mention.fact_id = %(fact_id_1)s AND memori_entity_fact_mention.message_id = %(message_id_1)s AND memori_entity_fact_mention.entity_id = %(entity_id_1)s;

UPDATE memori_entity_fact SET mentions=(memori_entity_fact.mentions - %(mentions_1)s), revision=%(revision)s WHERE memori_entity_fact.entity_id = %(entity_id_1)s AND memori_entity_fact.id = %(id_1)s;

DELETE FROM memori_process_attribute WHERE memori_process_attribute.entity_id = %(entity_id_1)s AND memori_process_attribute.message_id IN (__[POSTCOMPILE_message_id_1]);

SELECT memori_entity_fact.id, memori_entity_fact.entity_id, memori_entity_fact.process_id, memori_entity_fact.session_id, memori_entity_fact.position, memori_entity_fact.message_id, memori_entity_fact.kind, memori_entity_fact.status, memori_entity_fact.content, memori_entity_fact.search_text, memori_entity_fact.fingerprint, memori_entity_fact.slot, memori_entity_fact.speaker, memori_entity_fact.source, memori_entity_fact.importance, memori_entity_fact.mentions, memori_entity_fact.tier, memori_entity_fact.extractor, memori_entity_fact.said_at, memori_entity_fact.valid_from, memori_entity_fact.valid_to, memori_entity_fact.expires_at, memori_entity_fact.created_at, memori_entity_fact.retired_at, memori_entity_fact.superseded_by, memori_entity_fact.revision, memori_session.external_id AS session
FROM memori_entity_fact LEFT OUTER JOIN memori_session ON memori_session.id = memori_entity_fact.session_id
WHERE memori_entity_fact.entity_id = %(entity_id_1)s AND memori_entity_fact.status IN (__[POSTCOMPILE_status_1]) AND NOT (EXISTS (SELECT *
FROM memori_fact_embedding
WHERE memori_fact_embedding.fact_id = memori_entity_fact.id AND memori_fact_embedding.space_id = %(space_id_1)s)) ORDER BY memori_entity_fact.revision DESC, memori_entity_fact.id
 LIMIT %(param_1)s;

SELECT memori_entity_fact.session_id, memori_entity_fact.position, memori_entity_fact.id
FROM memori_entity_fact
WHERE memori_entity_fact.entity_id = %(entity_id_1)s AND memori_entity_fact.status = %(status_1)s AND memori_entity_fact.kind = %(kind_1)s AND memori_entity_fact.session_id IN (__[POSTCOMPILE_session_id_1]) AND memori_entity_fact.position IS NOT NULL ORDER BY memori_entity_fact.position;

SELECT memori_entity_fact.id, memori_entity_fact.entity_id, memori_entity_fact.process_id, memori_entity_fact.session_id, memori_entity_fact.position, memori_entity_fact.message_id, memori_entity_fact.kind, memori_entity_fact.status, memori_entity_fact.content, memori_entity_fact.search_text, memori_entity_fact.fingerprint, memori_entity_fact.slot, memori_entity_fact.speaker, memori_entity_fact.source, memori_entity_fact.importance, memori_entity_fact.mentions, memori_entity_fact.tier, memori_entity_fact.extractor, memori_entity_fact.said_at, memori_entity_fact.valid_from, memori_entity_fact.valid_to, memori_entity_fact.expires_at, memori_entity_fact.created_at, memori_entity_fact.retired_at, memori_entity_fact.superseded_by, memori_entity_fact.revision, memori_session.external_id AS session
FROM memori_entity_fact LEFT OUTER JOIN memori_session ON memori_session.id = memori_entity_fact.session_id
WHERE coalesce(memori_entity_fact.entity_id, memori_entity_fact.entity_id) = %(coalesce_1)s AND coalesce(memori_entity_fact.status, memori_entity_fact.status) IN (__[POSTCOMPILE_coalesce_2]) AND memori_entity_fact.id IN (__[POSTCOMPILE_among_1]) ORDER BY memori_entity_fact.created_at DESC, memori_entity_fact.position DESC, memori_entity_fact.id DESC;

SELECT count(*) AS count_1
FROM memori_entity_fact
WHERE memori_entity_fact.entity_id = %(entity_id_1)s AND memori_entity_fact.status IN (__[POSTCOMPILE_status_1]) AND NOT (EXISTS (SELECT *
FROM memori_fact_embedding
WHERE memori_fact_embedding.fact_id = memori_entity_fact.id AND memori_fact_embedding.space_id = %(space_id_1)s));

SELECT memori_fact_embedding.fact_id
FROM memori_fact_embedding
WHERE memori_fact_embedding.fact_id IN (__[POSTCOMPILE_fact_id_1]) AND memori_fact_embedding.space_id = %(space_id_1)s AND coalesce(memori_fact_embedding.entity_id, memori_fact_embedding.entity_id) = %(coalesce_1)s;

DELETE FROM memori_fact_embedding WHERE memori_fact_embedding.entity_id = %(entity_id_1)s AND memori_fact_embedding.space_id != %(space_id_1)s;

UPDATE memori_entity SET revision=%(revision)s, generation=%(generation)s, active_space=%(active_space)s WHERE memori_entity.id = %(id_1)s;

SELECT memori_session.version
FROM memori_session
WHERE memori_session.id = %(id_1)s;

SELECT memori_conversation_message.id, %(param_1)s AS session, NULL AS conversation, memori_conversation_message.conversation_id, memori_conversation_message.position, memori_conversation_message.archived, memori_conversation_message.`role`, memori_conversation_message.name, memori_conversation_message.content AS content, memori_conversation_message.native_id, memori_conversation_message.tools, memori_conversation_message.payload, memori_conversation_message.source, memori_conversation_message.partial, memori_conversation_message.said_at
FROM memori_conversation_message
WHERE memori_conversation_message.session_id = %(session_id_1)s AND memori_conversation_message.entity_id = %(entity_id_1)s AND memori_conversation_message.archived = %(archived_1)s ORDER BY memori_conversation_message.position, memori_conversation_message.position;

SELECT memori_conversation_message.id, %(param_1)s AS session, NULL AS conversation, memori_conversation_message.conversation_id, memori_conversation_message.position, memori_conversation_message.archived, memori_conversation_message.`role`, memori_conversation_message.name, memori_conversation_message.content AS content, memori_conversation_message.native_id, memori_conversation_message.tools, memori_conversation_message.payload, memori_conversation_message.source, memori_conversation_message.partial, memori_conversation_message.said_at
FROM memori_conversation_message
WHERE memori_conversation_message.session_id = %(session_id_1)s AND memori_conversation_message.entity_id = %(entity_id_1)s ORDER BY memori_conversation_message.position, memori_conversation_message.position;

UPDATE memori_conversation_message SET archived=%(archived)s WHERE memori_conversation_message.session_id = %(session_id_1)s AND memori_conversation_message.id IN (__[POSTCOMPILE_id_1]) AND memori_conversation_message.archived = %(archived_1)s;

SELECT memori_conversation_message.digest
FROM memori_conversation_message
WHERE memori_conversation_message.session_id = %(session_id_1)s ORDER BY memori_conversation_message.position DESC
 LIMIT %(param_1)s;

UPDATE memori_session SET version=(memori_session.version + %(version_1)s), last_digest=%(last_digest)s WHERE memori_session.id = %(id_1)s;

SELECT memori_conversation_message.id, memori_conversation_message.digest, memori_conversation_message.native_id, memori_conversation_message.payload
FROM memori_conversation_message
WHERE memori_conversation_message.session_id = %(session_id_1)s AND memori_conversation_message.archived = %(archived_1)s ORDER BY memori_conversation_message.position;

DELETE FROM memori_conversation_message WHERE memori_conversation_message.session_id = %(session_id_1)s AND memori_conversation_message.id IN (__[POSTCOMPILE_id_1]);

SELECT memori_item.id, memori_item.created_at
FROM memori_item
WHERE memori_item.id IN (__[POSTCOMPILE_id_1]) AND (memori_item.expires_at IS NULL OR memori_item.expires_at > %(expires_at_1)s);

DELETE FROM memori_item WHERE memori_item.id IN (__[POSTCOMPILE_id_1]) AND memori_item.entity_id = %(entity_id_1)s;

INSERT INTO memori_item (id, entity_id, namespace, item_key, content, space_id, vectors, created_at, updated_at, expires_at, scope_1, scope_2, scope_3) VALUES (%(id)s, %(entity_id)s, %(namespace)s, %(item_key)s, %(content)s, %(space_id)s, %(vectors)s, %(created_at)s, %(updated_at)s, %(expires_at)s, %(scope_1)s, %(scope_2)s, %(scope_3)s);

SELECT memori_item.id, memori_item.content AS content, memori_item.created_at, memori_item.updated_at, memori_item.expires_at
FROM memori_item
WHERE memori_item.entity_id = %(entity)s AND (memori_item.expires_at IS NULL OR memori_item.expires_at > %(moment)s) AND memori_item.id IN (%(id_0)s);

UPDATE memori_item SET expires_at=%(expires_at)s WHERE memori_item.entity_id = %(entity_id_1)s AND memori_item.id IN (__[POSTCOMPILE_id_1]) AND memori_item.expires_at > %(expires_at_1)s;

SELECT anon_1.updated_at, anon_1.id, anon_1.namespace, anon_1.item_key, anon_1.content, anon_1.created_at, anon_1.expires_at, anon_1.space_id, anon_1.vectors
FROM (SELECT memori_item.updated_at AS updated_at, memori_item.id AS id, memori_item.namespace AS namespace, memori_item.item_key AS item_key, memori_item.content AS content, memori_item.created_at AS created_at, memori_item.expires_at AS expires_at, memori_item.space_id AS space_id, memori_item.vectors AS vectors
FROM memori_item
WHERE memori_item.entity_id = %(entity)s AND (memori_item.expires_at IS NULL OR memori_item.expires_at > %(moment)s) AND memori_item.scope_1 = %(scope)s ORDER BY memori_item.updated_at DESC, memori_item.id DESC
 LIMIT %(most)s) AS anon_1 UNION ALL SELECT anon_2.updated_at, anon_2.id, anon_2.namespace, anon_2.item_key, anon_2.content, anon_2.created_at, anon_2.expires_at, anon_2.space_id, anon_2.vectors
FROM (SELECT memori_item.updated_at AS updated_at, memori_item.id AS id, memori_item.namespace AS namespace, memori_item.item_key AS item_key, memori_item.content AS content, memori_item.created_at AS created_at, memori_item.expires_at AS expires_at, memori_item.space_id AS space_id, memori_item.vectors AS vectors
FROM memori_item
WHERE memori_item.entity_id = %(entity)s AND (memori_item.expires_at IS NULL OR memori_item.expires_at > %(moment)s) AND memori_item.scope_1 IS NULL AND (memori_item.namespace LIKE concat(%(begins)s, '%%') ESCAPE '/') ORDER BY memori_item.updated_at DESC, memori_item.id DESC
 LIMIT %(most)s) AS anon_2 ORDER BY updated_at DESC, id DESC
 LIMIT %(most)s;

SELECT memori_item.namespace
FROM memori_item
WHERE memori_item.entity_id = %(entity)s AND (memori_item.expires_at IS NULL OR memori_item.expires_at > %(moment)s);

DELETE FROM memori_item WHERE memori_item.expires_at <= %(expires_at_1)s;

SELECT memori_entity.id
FROM memori_entity
WHERE memori_entity.id = %(id_1)s FOR UPDATE;

DELETE FROM memori_knowledge_graph WHERE memori_knowledge_graph.entity_id = %(entity_id_1)s;

DELETE FROM memori_predicate WHERE memori_predicate.entity_id = %(entity_id_1)s;

DELETE FROM memori_node WHERE memori_node.entity_id = %(entity_id_1)s;

DELETE FROM memori_fact_search WHERE memori_fact_search.entity_id = %(entity_id_1)s;

DELETE FROM memori_fact_embedding WHERE memori_fact_embedding.entity_id = %(entity_id_1)s;

DELETE FROM memori_entity_fact_mention WHERE memori_entity_fact_mention.entity_id = %(entity_id_1)s;

DELETE FROM memori_process_attribute WHERE memori_process_attribute.entity_id = %(entity_id_1)s;

DELETE FROM memori_item WHERE memori_item.entity_id = %(entity_id_1)s;

DELETE FROM memori_augmentation_job WHERE memori_augmentation_job.entity_id = %(entity_id_1)s;

DELETE FROM memori_entity_fact WHERE memori_entity_fact.entity_id = %(entity_id_1)s;

DELETE FROM memori_conversation_message WHERE memori_conversation_message.entity_id = %(entity_id_1)s;

DELETE FROM memori_conversation WHERE memori_conversation.entity_id = %(entity_id_1)s;

DELETE FROM memori_session WHERE memori_session.entity_id = %(entity_id_1)s;

DELETE FROM memori_entity WHERE memori_entity.id = %(id_1)s;
