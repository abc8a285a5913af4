"""Every row and document of the read models, compared with PostgreSQL at one mark while writes go on."""
