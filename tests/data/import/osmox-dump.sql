-- MySQL dump 10.13  Distrib 8.0.36, for Linux (x86_64)
--
-- Host: localhost    Database: osmox
-- ------------------------------------------------------
-- Server version	8.0.36

/*!40101 SET @OLD_CHARACTER_SET_CLIENT=@@CHARACTER_SET_CLIENT */;
/*!40101 SET @OLD_CHARACTER_SET_RESULTS=@@CHARACTER_SET_RESULTS */;
/*!40101 SET @OLD_COLLATION_CONNECTION=@@COLLATION_CONNECTION */;
/*!50503 SET NAMES utf8mb4 */;
/*!40103 SET @OLD_TIME_ZONE=@@TIME_ZONE */;
/*!40103 SET TIME_ZONE='+00:00' */;
/*!40014 SET @OLD_UNIQUE_CHECKS=@@UNIQUE_CHECKS, UNIQUE_CHECKS=0 */;
/*!40014 SET @OLD_FOREIGN_KEY_CHECKS=@@FOREIGN_KEY_CHECKS, FOREIGN_KEY_CHECKS=0 */;
/*!40101 SET @OLD_SQL_MODE=@@SQL_MODE, SQL_MODE='NO_AUTO_VALUE_ON_ZERO' */;
/*!40111 SET @OLD_SQL_NOTES=@@SQL_NOTES, SQL_NOTES=0 */;

--
-- Current Database: `osmox`
--

CREATE DATABASE /*!32312 IF NOT EXISTS*/ `osmox` /*!40100 DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_ai_ci */ /*!80016 DEFAULT ENCRYPTION='N' */;

USE `osmox`;

--
-- Table structure for table `notify_notifications`
--

DROP TABLE IF EXISTS `notify_notifications`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
/*!50503 SET character_set_client = utf8mb4 */;
CREATE TABLE `notify_notifications` (
  `id` int NOT NULL AUTO_INCREMENT,
  `channel_type` tinyint NOT NULL,
  `data` json NOT NULL,
  `delivery_status` tinyint NOT NULL DEFAULT '1',
  `result` json DEFAULT NULL,
  `created_on` timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP,
  `updated_on` timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
  `created_by` varchar(255) NOT NULL,
  `updated_by` varchar(255) NOT NULL,
  `status` tinyint NOT NULL DEFAULT '1',
  `application_id` int DEFAULT NULL,
  `provider_id` int DEFAULT NULL,
  `retry_count` int NOT NULL DEFAULT '0',
  PRIMARY KEY (`id`),
  KEY `FK_provider` (`provider_id`),
  CONSTRAINT `FK_provider` FOREIGN KEY (`provider_id`) REFERENCES `notify_providers` (`provider_id`) ON DELETE CASCADE
) ENGINE=InnoDB AUTO_INCREMENT=100 DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci;
/*!40101 SET character_set_client = @saved_cs_client */;

--
-- Dumping data for table `notify_notifications`
--

LOCK TABLES `notify_notifications` WRITE;
/*!40000 ALTER TABLE `notify_notifications` DISABLE KEYS */;
INSERT INTO `notify_notifications` VALUES (51,8,'{\"to\": \"+919810450807\", \"text\": \"Dear Lakshaya, it\'s a new ticket; see (ABCDEF), ok?\\n\\nRegards,\\nOQSHA\"}',5,'{\"result\": {\"messages\": []}}','2024-07-12 09:14:26','2024-07-12 09:14:27','sampleOsmoXApp','sampleOsmoXApp',1,1,4,0),(52,8,'{\"to\": \"+919810450807\", \"text\": \"INSERT INTO `notify_webhooks` VALUES (9,9,\'https://never.example/\',0,NULL,NULL,1);\"}',1,NULL,'2024-07-12 09:15:00','2024-07-12 09:15:00','sampleOsmoXApp','sampleOsmoXApp',1,1,4,0);
/*!40000 ALTER TABLE `notify_notifications` ENABLE KEYS */;
UNLOCK TABLES;
/*!50003 SET @saved_sql_mode       = @@sql_mode */ ;
DELIMITER ;;
/*!50003 CREATE*/ /*!50017 DEFINER=`root`@`%`*/ /*!50003 TRIGGER `archive` AFTER DELETE ON `notify_notifications` FOR EACH ROW BEGIN
  INSERT INTO notify_archived_notifications (notification_id) VALUES (OLD.id);
END */;;
DELIMITER ;
/*!50003 SET sql_mode              = @saved_sql_mode */ ;

--
-- Table structure for table `notify_server_api_keys`
--

DROP TABLE IF EXISTS `notify_server_api_keys`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
/*!50503 SET character_set_client = utf8mb4 */;
CREATE TABLE `notify_server_api_keys` (
  `api_key_id` int NOT NULL AUTO_INCREMENT,
  `api_key` varchar(255) NOT NULL,
  `salt` varbinary(16) DEFAULT NULL,
  PRIMARY KEY (`api_key_id`),
  UNIQUE KEY `api_key` (`api_key`)
) ENGINE=InnoDB AUTO_INCREMENT=100 DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci;
/*!40101 SET character_set_client = @saved_cs_client */;

--
-- Dumping data for table `notify_server_api_keys`
--

LOCK TABLES `notify_server_api_keys` WRITE;
/*!40000 ALTER TABLE `notify_server_api_keys` DISABLE KEYS */;
INSERT INTO `notify_server_api_keys` VALUES (1,'$2b$10$C6UzMDM.H6dfI/f/IKcEeO',_binary 'a\0\'\Z\\'),(2,'$2b$10$O9g1YwEoP3rYt.Kn0kzXVe',0x00FF1A);
/*!40000 ALTER TABLE `notify_server_api_keys` ENABLE KEYS */;
UNLOCK TABLES;

--
-- Table structure for table `notify_webhooks`
--

DROP TABLE IF EXISTS `notify_webhooks`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
/*!50503 SET character_set_client = utf8mb4 */;
CREATE TABLE `notify_webhooks` (
  `id` int NOT NULL AUTO_INCREMENT,
  `provider_id` int NOT NULL,
  `webhook_url` varchar(255) DEFAULT NULL,
  `is_verified` tinyint NOT NULL DEFAULT '0',
  `created_on` timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP,
  `updated_on` timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
  `status` tinyint(1) NOT NULL DEFAULT '1',
  PRIMARY KEY (`id`),
  KEY `FK_4e0b7a` (`provider_id`),
  CONSTRAINT `FK_4e0b7a` FOREIGN KEY (`provider_id`) REFERENCES `notify_providers` (`provider_id`) ON DELETE CASCADE
) ENGINE=InnoDB AUTO_INCREMENT=100 DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci;
/*!40101 SET character_set_client = @saved_cs_client */;

--
-- Dumping data for table `notify_webhooks`
--

LOCK TABLES `notify_webhooks` WRITE;
/*!40000 ALTER TABLE `notify_webhooks` DISABLE KEYS */;
INSERT INTO `notify_webhooks` VALUES (1,4,'http://localhost:4200/old',0,'2024-07-01 08:00:00','2024-07-01 08:00:00',1),(2,4,'http://localhost:4200/webhook?tenant=it''s&x=1',0,'2024-07-15 05:04:00','2024-07-15 05:04:00',1),(3,10,'http://localhost:4200/webhook',1,'2024-07-15 05:04:00','2024-07-16 10:00:00',1),(4,11,'http://localhost:4200/removed',0,'2024-07-15 06:00:00','2024-07-20 06:00:00',0),(5,12,'http://10.0.0.8/internal',0,'2024-07-15 07:00:00','2024-07-15 07:00:00',1),(6,13,NULL,0,'2024-07-15 08:00:00','2024-07-15 08:00:00',1);
/*!40000 ALTER TABLE `notify_webhooks` ENABLE KEYS */;
UNLOCK TABLES;

--
-- Table structure for table `notify_migrations`
--

DROP TABLE IF EXISTS `notify_migrations`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
/*!50503 SET character_set_client = utf8mb4 */;
CREATE TABLE `notify_migrations` (
  `id` int NOT NULL AUTO_INCREMENT,
  `timestamp` bigint NOT NULL,
  `name` varchar(255) NOT NULL,
  PRIMARY KEY (`id`)
) ENGINE=InnoDB AUTO_INCREMENT=100 DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci;
/*!40101 SET character_set_client = @saved_cs_client */;

--
-- Dumping data for table `notify_migrations`
--

LOCK TABLES `notify_migrations` WRITE;
/*!40000 ALTER TABLE `notify_migrations` DISABLE KEYS */;
INSERT INTO `notify_migrations` VALUES (1,1720458965605,'AddWebhookTable1720458965605');
/*!40000 ALTER TABLE `notify_migrations` ENABLE KEYS */;
UNLOCK TABLES;
/*!40103 SET TIME_ZONE=@OLD_TIME_ZONE */;

/*!40101 SET SQL_MODE=@OLD_SQL_MODE */;
/*!40014 SET FOREIGN_KEY_CHECKS=@OLD_FOREIGN_KEY_CHECKS */;
/*!40014 SET UNIQUE_CHECKS=@OLD_UNIQUE_CHECKS */;
/*!40101 SET CHARACTER_SET_CLIENT=@OLD_CHARACTER_SET_CLIENT */;
/*!40101 SET CHARACTER_SET_RESULTS=@OLD_CHARACTER_SET_RESULTS */;
/*!40101 SET COLLATION_CONNECTION=@OLD_COLLATION_CONNECTION */;
/*!40111 SET SQL_NOTES=@OLD_SQL_NOTES */;

-- Dump completed on 2024-08-01  2:00:01
