-- A row about a command. $1: snapshot, $2: image, $3: tag, $4: author, $5: command.
INSERT INTO courier.ddl_log (snapshot, image, tag, author, command) VALUES ($1, $2, $3, $4, $5)
